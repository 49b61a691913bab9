//! How deep and how long a policy may be. The parser recurses over what is nested, and expressions are trees that
//! recurse when they are dropped: a text that overflows a stack would end the process, so it is measured before it is
//! parsed.

/// How deep brackets and `if` may be nested, together.
const NESTED_MAX: usize = 32;
/// How many operators and brackets a policy may have: a chain of them is a tree as deep as it is long.
const OPERATORS_MAX: usize = 1_000;

/// What is too much of it, if anything: where, and why.
pub(super) fn exceeded(text: &str) -> Option<(usize, &'static str)> {
    let (mut brackets, mut conditionals, mut operators) = (0_usize, 0, 0);
    for (offset, symbol) in Symbols::of(text) {
        match symbol {
            Symbol::Open => (brackets, operators) = (brackets + 1, operators + 1),
            Symbol::Close => brackets = brackets.saturating_sub(1),
            Symbol::If => conditionals += 1,
            Symbol::Operator => operators += 1,
        }
        if brackets + conditionals > NESTED_MAX {
            return Some((offset, "nested deeper than 32 brackets and conditionals"));
        }
        if operators > OPERATORS_MAX {
            return Some((offset, "more than 1,000 operators and brackets"));
        }
    }
    None
}

enum Symbol {
    Open,
    Close,
    If,
    Operator,
}

/// The symbols of a text that make trees; strings and comments are passed over.
struct Symbols<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl<'t> Symbols<'t> {
    fn of(text: &'t str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    fn skip_string(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            self.at += if *byte == b'\\' { 2 } else { 1 };
            if *byte == b'"' {
                break;
            }
        }
    }

    fn skip_while(&mut self, inside: impl Fn(u8) -> bool) {
        while self.bytes.get(self.at).is_some_and(|byte| inside(*byte)) {
            self.at += 1;
        }
    }
}

impl Iterator for Symbols<'_> {
    type Item = (usize, Symbol);

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(byte) = self.bytes.get(self.at) {
            let from = self.at;
            self.at += 1;
            match byte {
                b'"' => self.skip_string(),
                b'/' if self.bytes.get(self.at) == Some(&b'/') => self.skip_while(|byte| byte != b'\n'),
                b'(' | b'[' | b'{' => return Some((from, Symbol::Open)),
                b')' | b']' | b'}' => return Some((from, Symbol::Close)),
                b'&' | b'|' if self.bytes.get(self.at) == Some(byte) => {
                    self.at += 1;
                    return Some((from, Symbol::Operator));
                }
                b'+' | b'-' | b'*' | b'.' | b'!' | b'<' | b'>' | b'=' => return Some((from, Symbol::Operator)),
                byte if byte.is_ascii_alphabetic() || *byte == b'_' => {
                    self.skip_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    if &self.bytes[from..self.at] == b"if" {
                        return Some((from, Symbol::If));
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nested_or_chained_is_counted_and_strings_and_comments_are_not() {
        assert_eq!(exceeded(&format!("{}1{}", "(".repeat(32), ")".repeat(32))), None);
        assert_eq!(exceeded(&"(".repeat(33)).map(|found| found.0), Some(32));
        assert_eq!(exceeded(&"[()]".repeat(500)), None, "side by side is not nested");
        assert!(exceeded(&"[()]".repeat(501)).is_some());
        assert!(exceeded(&"if a then b else ".repeat(33)).is_some());
        assert_eq!(exceeded(&"iffy ".repeat(33)), None);
        assert_eq!(exceeded(&format!("a{}", "&&a".repeat(1_000))), None);
        assert_eq!(exceeded(&format!("a{}", ".a".repeat(1_001))).map(|found| found.0), Some(2_001));
        assert_eq!(exceeded(&format!("\"\\\"{}\" // {}", "(".repeat(100), "(".repeat(100))), None);
        assert!(exceeded(&format!("\"\\\\\"{}", "(".repeat(100))).is_some(), "the string has ended");
        assert!(exceeded(&format!("// \"\n{}", "(".repeat(100))).is_some(), "the comment has ended");
    }
}
