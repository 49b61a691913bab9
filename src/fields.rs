//! Reading requests: every bad field is found before the first is reported.
//!
//! Each reader answers a value in any case; [`Fields::done`] is what stands between a bad one and an operation.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive, time::Duration};

use type_safe_id::StaticType;
use unicode_normalization::UnicodeNormalization as _;

use crate::{
    clock::Timestamp,
    context::Ctx,
    db::page::{Page, SIZE_MAX},
    error::{Error, Result, Violation},
    ids::Id,
};

/// The most entries that metadata holds.
const METADATA_ENTRIES_MAX: usize = 50;

/// Reads the fields of one request.
#[derive(Debug, Default)]
pub struct Fields {
    violations: Vec<Violation>,
    prefix: String,
}

/// An e-mail address as it was given, and as a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Trimmed and NFC.
    pub original: String,
    /// In lower case, the domain as A-labels.
    pub key: String,
}

impl Fields {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads fields of a part of the request, such as one entry of a list.
    pub fn within<T>(&mut self, path: impl Display, read: impl FnOnce(&mut Self) -> T) -> T {
        let longer = format!("{}{path}.", self.prefix);
        let outer = std::mem::replace(&mut self.prefix, longer);
        let answer = read(self);
        self.prefix = outer;
        answer
    }

    /// Notes that a field is wrong.
    pub fn wrong(&mut self, field: impl Display, description: impl Into<String>) {
        let field = format!("{}{field}", self.prefix);
        self.violations.push(Violation { field, description: description.into() });
    }

    /// Fails if any field was wrong, and names them all.
    pub fn done(self) -> Result<()> {
        if self.violations.is_empty() { Ok(()) } else { Err(Error::invalid(self.violations)) }
    }

    /// What a request says about itself, for its events.
    pub fn request(&mut self, ctx: &mut Ctx, request_id: String) {
        self.text("request_id", &request_id, 0..=128);
        ctx.request_id = request_id;
    }

    /// Why a change is made.
    pub fn reason(&mut self, ctx: &mut Ctx, reason: String) {
        self.text("reason", &reason, 0..=500);
        ctx.reason = reason;
    }

    /// A required id.
    pub fn id<K: StaticType>(&mut self, field: impl Display, text: &str) -> Id<K> {
        self.id_optional(&field, text).unwrap_or_else(|| {
            if text.is_empty() {
                self.wrong(field, "required");
            }
            Id::from_uuid(uuid::Uuid::nil())
        })
    }

    /// An id that may be empty.
    pub fn id_optional<K: StaticType>(&mut self, field: impl Display, text: &str) -> Option<Id<K>> {
        if text.is_empty() {
            return None;
        }
        let id = text.parse().ok();
        if id.is_none() {
            self.wrong(field, format!("not an id of the form {}_…", K::TYPE));
        }
        id
    }

    /// Text of this many characters, none of them a control character.
    pub fn text(&mut self, field: impl Display, text: &str, characters: RangeInclusive<usize>) {
        let count = text.chars().count();
        if text.is_empty() && *characters.start() > 0 {
            self.wrong(field, "required");
        } else if !characters.contains(&count) {
            self.wrong(field, format!("{count} characters, at most {}", characters.end()));
        } else if text.chars().any(char::is_control) {
            self.wrong(field, "contains a control character");
        }
    }

    /// Text that is stored as nothing where it is empty.
    pub fn text_optional(&mut self, field: impl Display, text: String, characters_max: usize) -> Option<String> {
        self.text(field, &text, 0..=characters_max);
        Some(text).filter(|text| !text.is_empty())
    }

    /// The slug of a tenant or an organization: `[a-z0-9](-?[a-z0-9]){1,62}`.
    pub fn slug(&mut self, field: impl Display, text: &str) {
        if text.is_empty() {
            self.wrong(field, "required");
        } else if !is_slug(text) {
            self.wrong(field, "not of the form [a-z0-9](-?[a-z0-9]){1,62}");
        }
    }

    /// The slug of a permission or a role: 1 to 128 of `a-z 0-9 - . : _`.
    pub fn right_slug(&mut self, field: impl Display, text: &str) {
        if text.is_empty() {
            self.wrong(field, "required");
        } else if !is_right_slug(text) {
            self.wrong(field, "not 1 to 128 of a-z 0-9 - . : _");
        }
    }

    /// Slugs, each once, ordered.
    pub fn right_slugs(&mut self, field: &str, slugs: Vec<String>, count: RangeInclusive<usize>) -> Vec<String> {
        self.count(field, slugs.len(), count);
        for (index, slug) in slugs.iter().enumerate() {
            self.right_slug(format!("{field}[{index}]"), slug);
        }
        ordered(slugs)
    }

    /// How many entries a list has.
    pub fn count(&mut self, field: &str, found: usize, count: RangeInclusive<usize>) {
        if found < *count.start() {
            self.wrong(field, format!("at least {} required", count.start()));
        } else if found > *count.end() {
            self.wrong(field, format!("{found} entries, at most {}", count.end()));
        }
    }

    /// An e-mail address.
    pub fn email(&mut self, field: impl Display, text: &str) -> Email {
        if text.is_empty() {
            self.wrong(field, "required");
            return Email { original: String::new(), key: String::new() };
        }
        parse_email(text).unwrap_or_else(|| {
            self.wrong(field, "not an e-mail address of at most 254 characters");
            Email { original: String::new(), key: String::new() }
        })
    }

    /// Metadata: at most 50 entries, keys of 1 to 40 and values of up to 500 characters.
    pub fn metadata(&mut self, field: &str, metadata: &BTreeMap<String, String>) {
        self.count(field, metadata.len(), 0..=METADATA_ENTRIES_MAX);
        for (key, value) in metadata {
            self.text(format!("{field}[{key}] (the key)"), key, 1..=40);
            self.text(format!("{field}[{key}]"), value, 0..=500);
        }
    }

    /// A time after `now`, or none.
    pub fn future(&mut self, field: &str, time: Option<&prost_types::Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let time = time?;
        match Timestamp::try_from(time) {
            Ok(time) if time > now => return Some(time),
            Ok(_) => self.wrong(field, "not in the future"),
            Err(()) => self.wrong(field, "not a time of the years 1 to 9999"),
        }
        None
    }

    /// A duration up to `longest`; `default` where it is absent.
    pub fn duration(
        &mut self,
        field: &str,
        duration: Option<&prost_types::Duration>,
        longest: Duration,
        default: Duration,
    ) -> Duration {
        let Some(duration) = duration else { return default };
        match Duration::try_from(*duration) {
            Ok(duration) if duration <= longest => duration,
            _ => {
                self.wrong(field, format!("not between 0 and {} seconds", longest.as_secs()));
                default
            }
        }
    }

    /// One of an enum's values, which must be known and said.
    pub fn choice<E: TryFrom<i32> + Default + PartialEq>(&mut self, field: &str, value: i32) -> E {
        let choice = self.choice_optional(field, value);
        if value == 0 {
            self.wrong(field, "required");
        }
        choice.unwrap_or_default()
    }

    /// One of an enum's values, or none where it is not said.
    pub fn choice_optional<E: TryFrom<i32>>(&mut self, field: &str, value: i32) -> Option<E> {
        if value == 0 {
            return None;
        }
        let choice = E::try_from(value).ok();
        if choice.is_none() {
            self.wrong(field, format!("{value} is no value of the enum"));
        }
        choice
    }

    /// The fields that an Update changes: at least one, each of `known`.
    pub fn mask(&mut self, mask: Option<prost_types::FieldMask>, known: &[&str]) -> Mask {
        let paths = mask.unwrap_or_default().paths;
        if paths.is_empty() {
            self.wrong("update_mask", format!("required: some of {}", known.join(", ")));
        }
        for path in paths.iter().filter(|path| !known.contains(&path.as_str())) {
            self.wrong("update_mask", format!("{path:?} is none of {}", known.join(", ")));
        }
        Mask(paths)
    }

    /// Which page of a list; `filters` is whatever else the request filters by. A bad token is an error of its own.
    pub fn page(&mut self, size: i32, token: &str, filters: impl AsRef<str>) -> Result<Page> {
        if !(0..=SIZE_MAX).contains(&size) {
            self.wrong("page_size", format!("not between 0 and {SIZE_MAX}"));
        }
        if !self.violations.is_empty() {
            return Page::parse(0, "", ""); // never used: `done` fails
        }
        Page::parse(size, token, filters.as_ref())
    }
}

/// The fields that an Update names.
#[derive(Debug, Clone)]
pub struct Mask(Vec<String>);

impl Mask {
    /// The new value, where the mask names the field.
    pub fn take<T>(&self, field: &str, value: T) -> Option<T> {
        self.0.iter().any(|path| path == field).then_some(value)
    }
}

/// Each once, in order.
pub fn ordered<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items.dedup();
    items
}

fn is_slug(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let letters = bytes.iter().filter(|byte| **byte != b'-').count();
    (2..=63).contains(&letters)
        && bytes.iter().all(|byte| alphanumeric(*byte) || *byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

/// Whether this is the slug of a permission or a role.
pub fn is_right_slug(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.:_".contains(&b))
}

/// Reads an e-mail address: trimmed, NFC, lower case, the domain as A-labels (RFC 5891 by UTS 46). `+tags` and dots stay.
fn parse_email(text: &str) -> Option<Email> {
    let original: String = text.trim().nfc().collect();
    let (local, domain) = original.rsplit_once('@')?;
    let spoiled = |c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"@".contains(c);
    if local.is_empty() || local.chars().count() > 64 || local.chars().any(spoiled) {
        return None;
    }
    let domain = idna::domain_to_ascii_strict(domain).ok()?;
    if !domain.contains('.') || domain.split('.').any(str::is_empty) || domain.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let key: String = format!("{}@{domain}", local.to_lowercase()).nfc().collect();
    (original.len() <= 254 && key.len() <= 254).then_some(Email { original, key })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_one_key_for_every_spelling() {
        let key = |text: &str| parse_email(text).map(|email| email.key);
        assert_eq!(key("  Ada@Example.COM "), Some("ada@example.com".into()));
        assert_eq!(key("ada+x.y@example.com"), Some("ada+x.y@example.com".into()));
        assert_eq!(key("ada@bücher.example"), Some("ada@xn--bcher-kva.example".into()));
        assert_eq!(key("Jose\u{301}@example.com"), Some("jos\u{e9}@example.com".into()));
        for bad in ["", "ada", "ada@", "@example.com", "a b@example.com", "ada@host", "ada@1.2.3.4", "a@b@example.com"]
        {
            assert_eq!(key(bad), None, "{bad}");
        }
        assert_eq!(key(&format!("{}@example.com", "a".repeat(65))), None);
    }

    #[test]
    fn slugs_are_of_their_form() {
        for good in ["ab", "a-b", "k8s", "0-0", &"a".repeat(63)] {
            assert!(is_slug(good), "{good}");
        }
        for bad in ["", "a", "-ab", "ab-", "a--b", "Ab", "a_b", &"a".repeat(64)] {
            assert!(!is_slug(bad), "{bad}");
        }
    }

    #[test]
    fn all_bad_fields_are_named_at_once() {
        let mut fields = Fields::new();
        fields.slug("slug", "");
        fields.within("members[3]", |fields| fields.email("email", "x"));
        fields.text("display_name", &"x".repeat(201), 0..=200);
        let error = fields.done().unwrap_err();
        assert_eq!(error.message(), "invalid request: slug, members[3].email, display_name");
    }
}
