//! The name of a domain, as people write it and as it is compared.

use std::net::IpAddr;

/// The most that a name has (RFC 1035, section 2.3.4, without the dot at its end), and below it the challenge's label.
const LENGTH_MAX: usize = 253 - "_roster-challenge.".len();

/// Why a text is no name of a domain that somebody can own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// Not a name at all (RFC 5890: labels of letters, digits and hyphens, or what becomes such).
    Malformed,
    /// An address of a machine.
    Address,
    /// One label alone, such as `localhost`.
    SingleLabel,
}

impl Wrong {
    /// For people.
    pub fn message(self) -> &'static str {
        match self {
            Self::Malformed => "not the name of a domain, such as example.com",
            Self::Address => "an IP address: name a domain",
            Self::SingleLabel => "one label alone: name a domain such as example.com",
        }
    }
}

/// A name in lower case and A-labels (RFC 5891, section 4), without a dot at its end.
pub fn normalized(text: &str) -> Result<String, Wrong> {
    let text = text.trim().trim_end_matches('.');
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err(Wrong::Address);
    }
    let name = idna::domain_to_ascii_strict(text).map_err(|_| Wrong::Malformed)?;
    if name.is_empty() || name.len() > LENGTH_MAX {
        return Err(Wrong::Malformed);
    }
    match name.rsplit_once('.') {
        None => Err(Wrong::SingleLabel),
        // 1.2.3, 0x7f.1: what some take for an address.
        Some((_, last)) if last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") => {
            Err(Wrong::Address)
        }
        Some(_) => Ok(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_in_a_labels() {
        for (text, name) in [
            (" Example.COM. ", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("a.b.c.example.co.uk", "a.b.c.example.co.uk"),
        ] {
            assert_eq!(normalized(text).as_deref(), Ok(name), "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for (text, wrong) in [
            ("", Wrong::Malformed),
            ("localhost", Wrong::SingleLabel),
            ("127.0.0.1", Wrong::Address),
            ("[::1]", Wrong::Address),
            ("::1", Wrong::Address),
            ("127.1", Wrong::Address),
            ("a b.com", Wrong::Malformed),
            ("a_b.com", Wrong::Malformed),
            ("-a.com", Wrong::Malformed),
            ("a..com", Wrong::Malformed),
            ("https://a.com", Wrong::Malformed),
            ("a@b.com", Wrong::Malformed),
            ("*.example.com", Wrong::Malformed),
        ] {
            assert_eq!(normalized(text), Err(wrong), "{text:?}");
        }
        assert_eq!(normalized(&format!("{}com", "a.".repeat(200))), Err(Wrong::Malformed));
        assert_eq!(normalized(&format!("{}.com", "a".repeat(64))), Err(Wrong::Malformed));
    }
}
