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
/// The most features that an organization says something about.
const FEATURE_FLAGS_MAX: usize = 100;
/// The longest URL.
const URL_CHARACTERS_MAX: usize = 2_000;

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

impl Email {
    /// Reads an address; none where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        parse_email(text)
    }
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

    /// An `https` URL of at most 2000 characters, or nothing.
    pub fn https_url(&mut self, field: impl Display, text: &str) {
        let spoiled = text.chars().any(|c| c.is_whitespace() || c.is_control());
        let is_https = |url: reqwest::Url| {
            url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none()
        };
        if text.is_empty() {
        } else if text.chars().count() > URL_CHARACTERS_MAX {
            self.wrong(field, format!("more than {URL_CHARACTERS_MAX} characters"));
        } else if spoiled || !reqwest::Url::parse(text).is_ok_and(is_https) {
            self.wrong(field, "not of the form https://host/path");
        }
    }

    /// A colour, `#rrggbb`, or nothing.
    pub fn color(&mut self, field: impl Display, text: &str) {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        if !text.is_empty() && !digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            self.wrong(field, "not of the form #rrggbb");
        }
    }

    /// Features that are on or off: at most 100.
    pub fn feature_flags(&mut self, field: &str, flags: &BTreeMap<String, bool>) {
        self.count(field, flags.len(), 0..=FEATURE_FLAGS_MAX);
        for name in flags.keys().filter(|name| !is_feature(name)) {
            let form = "not 1 to 64 of a-z 0-9 - _ . that begin and end with a letter or a digit";
            self.wrong(format!("{field}[{name}] (the key)"), form);
        }
    }

    /// A time, or none.
    pub fn time(&mut self, field: &str, time: Option<&prost_types::Timestamp>) -> Option<Timestamp> {
        let time = Timestamp::try_from(time?);
        if time.is_err() {
            self.wrong(field, "not a time of the years 1 to 9999");
        }
        time.ok()
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
        let unknown: Vec<_> = paths.iter().filter(|path| !known.contains(&path.as_str())).cloned().collect();
        if !unknown.is_empty() {
            self.wrong("update_mask", format!("{:?}: not of {}", unknown.join(", "), known.join(", ")));
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

fn is_feature(name: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = name.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes.iter().all(|byte| alphanumeric(byte) || b"-_.".contains(byte))
        && bytes.first().is_some_and(alphanumeric)
        && bytes.last().is_some_and(alphanumeric)
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
    let spoiled = |c: char| c.is_whitespace() || c.is_control() || is_invisible(c) || "<>()[],;:\\\"@".contains(c);
    // RFC 5321, section 4.5.3.1.1, counts octets; RFC 6531, section 3.3, leaves it at that.
    if local.is_empty() || local.len() > 64 || local.chars().any(spoiled) {
        return None;
    }
    let domain = idna::domain_to_ascii_strict(domain).ok()?;
    let (_, top) = domain.rsplit_once('.')?;
    // A name whose last label is a number is read as an address of the network (WHATWG URL, section 3.5).
    if domain.split('.').any(str::is_empty) || top.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let key: String = format!("{}@{domain}", local.to_lowercase()).nfc().collect();
    (original.len() <= 254 && key.len() <= 254).then_some(Email { original, key })
}

/// Whether nothing is to be seen of a character: two addresses that look the same would be different ones (Unicode,
/// `Default_Ignorable_Code_Point`).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
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
        for bad in [
            "ada@example.com.",
            "ada@.example.com",
            "ada@1.2.3",
            "ada@[1.2.3.4]",
            "a\u{200b}da@example.com",
            "ada\u{202e}@example.com",
            "ada@xn--a.example",
            "ada@b_d.example",
        ] {
            assert_eq!(key(bad), None, "{bad}");
        }
        assert_eq!(key(&format!("{}@example.com", "a".repeat(65))), None);
        assert_eq!(key(&format!("{}@example.com", "é".repeat(33))), None, "octets count");
    }

    #[test]
    fn addresses_that_differ_have_different_keys() {
        let key = |text: &str| parse_email(text).unwrap().key;
        let dotless = ["I@example.com", "\u{131}@example.com", "\u{130}@example.com"].map(key);
        assert_eq!(dotless[0], "i@example.com");
        assert!(dotless[0] != dotless[1] && dotless[0] != dotless[2] && dotless[1] != dotless[2]);
        for (one, other) in [
            ("a.b@x.example", "ab@x.example"),
            ("a+b@x.example", "a@x.example"),
            ("a@stra\u{df}e.example", "a@strasse.example"),
            ("a@b\u{131}.example", "a@bi.example"),
        ] {
            assert_ne!(key(one), key(other));
        }
        // Each key is its own key, and so is the domain in any of its spellings.
        for one in ["\u{130}@example.com", "\u{3a3}\u{391}\u{3a3}@x.example", "A\u{30a}@B\u{dc}cher\u{3002}example"] {
            assert_eq!(key(&key(one)), key(one));
        }
        assert_eq!(key("a@\u{ff22}\u{dc}CHER\u{3002}example"), "a@xn--bcher-kva.example");
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
    fn urls_colours_and_features_are_of_their_form() {
        let wrong = |read: &dyn Fn(&mut Fields)| {
            let mut fields = Fields::new();
            read(&mut fields);
            fields.done().is_err()
        };
        for good in ["", "https://cdn.example/logo.svg", "https://cdn.example:8443/a?b=c#d"] {
            assert!(!wrong(&|fields| fields.https_url("url", good)), "{good}");
        }
        let long = format!("https://cdn.example/{}", "a".repeat(2_000));
        for bad in [
            "http://cdn.example/a",
            "//cdn.example",
            "logo.svg",
            "https://",
            "https://me:secret@cdn.example/a",
            "https://cdn.example/a b",
            "https://cdn.example/\na",
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            &long,
        ] {
            assert!(wrong(&|fields| fields.https_url("url", bad)), "{bad}");
        }
        for good in ["", "#00ff99", "#ABCDEF"] {
            assert!(!wrong(&|fields| fields.color("color", good)), "{good}");
        }
        for bad in ["#fff", "00ff99", "#00ff9", "#00ff999", "#00ff9g", "red", "#ÿÿÿ"] {
            assert!(wrong(&|fields| fields.color("color", bad)), "{bad}");
        }
        let flag = |name: &str| BTreeMap::from([(name.to_owned(), true)]);
        for good in ["a", "beta.search-v2", "a_b", &"a".repeat(64)] {
            assert!(!wrong(&|fields| fields.feature_flags("flags", &flag(good))), "{good}");
        }
        for bad in ["", ".a", "a.", "A", "a b", "a/b", &"a".repeat(65)] {
            assert!(wrong(&|fields| fields.feature_flags("flags", &flag(bad))), "{bad}");
        }
        let many = |count: usize| (0..count).map(|number| (format!("f{number}"), true)).collect();
        assert!(!wrong(&|fields| fields.feature_flags("flags", &many(100))));
        assert!(wrong(&|fields| fields.feature_flags("flags", &many(101))));
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
