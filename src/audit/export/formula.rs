//! Cells that no spreadsheet takes for a formula (OWASP, "CSV Injection"), and from which every value can be had again.
//!
//! A spreadsheet that reads a table by another separator than its own sees cells begin within ours: there, too, nothing
//! may be a formula.

/// What a formula begins with, and the full-width forms of it, which some spreadsheets take for the same.
const OPERATORS: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
/// What a cell must not begin with either, because it is left out before a formula.
const BREAKS: [char; 3] = ['\t', '\r', '\n'];

/// A cell of text: an apostrophe stands before whatever could begin a formula. Whoever takes out each apostrophe that stands
/// before an operator, a break or an apostrophe has the text again.
pub fn text(text: &str) -> String {
    guard(text, |c, cell| cell.extend(['\'', c]))
}

/// A cell of JSON: whatever could begin a formula is escaped. What is parsed is the same; and there is no apostrophe to take
/// out. Such characters stand in strings alone: no list of the contract holds numbers, which might be negative.
pub fn json(text: &str) -> String {
    guard(text, |c, cell| cell.push_str(&format!("\\u{:04x}", u32::from(c))))
}

fn guard(text: &str, escape: impl Fn(char, &mut String)) -> String {
    let mut cell = String::with_capacity(text.len());
    let mut at_beginning = true; // of a cell, by whichever separator
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let begins = at_beginning && OPERATORS.contains(&c) || cell.is_empty() && BREAKS.contains(&c);
        let confuses = c == '\'' && chars.peek().is_some_and(|next| *next == '\'' || is_guarded(*next));
        if begins || confuses {
            escape(c, &mut cell)
        } else {
            cell.push(c)
        }
        at_beginning = is_separator(c) || at_beginning && is_unseen(c);
    }
    cell
}

fn is_guarded(c: char) -> bool {
    OPERATORS.contains(&c) || BREAKS.contains(&c)
}

/// Whether a cell may begin behind it.
fn is_separator(c: char) -> bool {
    matches!(c, ',' | ';' | '|' | '\t' | '\n'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether what follows may be seen as if this were not there.
fn is_unseen(c: char) -> bool {
    c == '"' || c.is_whitespace() || c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As anybody undoes it.
    fn undo(cell: &str) -> String {
        let (mut text, mut chars) = (String::new(), cell.chars().peekable());
        while let Some(c) = chars.next() {
            let guarded = chars.next_if(|next| c == '\'' && (*next == '\'' || is_guarded(*next)));
            text.push(guarded.unwrap_or(c));
        }
        text
    }

    const PARTS: [&str; 16] =
        ["=", "+", "-", "@", "\u{ff1d}", "'", "\"", ";", ",", "|", "\t", "\r", "\n", " ", "a", "\u{feff}"];

    /// Every text of up to four of the parts.
    fn texts() -> Vec<String> {
        let mut texts = vec![String::new()];
        for from in [0, 1, 17, 273] {
            let longer: Vec<_> =
                texts[from..].iter().flat_map(|text| PARTS.map(|part| format!("{text}{part}"))).collect();
            texts.extend(longer);
        }
        texts
    }

    #[test]
    fn no_cell_begins_with_a_formula_by_whichever_separator_and_every_value_comes_back() {
        let texts = texts();
        assert_eq!(texts.len(), 1 + 16 + 256 + 4_096 + 65_536);
        for given in texts {
            let cell = text(&given);
            assert!(!cell.starts_with(is_guarded), "{given:?}");
            for part in cell.split(is_separator) {
                assert!(!part.trim_start_matches(is_unseen).starts_with(OPERATORS), "{given:?}: {cell:?}");
            }
            assert_eq!(undo(&cell), given, "{cell:?}");
        }
    }

    #[test]
    fn what_is_harmless_is_as_it_was() {
        for harmless in ["", "O'Brien", "'", "a=b", "a -1", "2026-03-01T09:00:00Z", "Ada, Countess", "'abc'"] {
            assert_eq!(text(harmless), harmless);
        }
        assert_eq!(text("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(text("x; \"@SUM(A1)"), "x; \"'@SUM(A1)");
        assert_eq!(text("\u{ff0b}1"), "'\u{ff0b}1");
    }

    #[test]
    fn json_is_parsed_as_it_was() {
        for given in texts() {
            let value = serde_json::json!({ (&given): [given, "x"], "n": [given] });
            let cell = json(&value.to_string());
            assert_eq!(serde_json::from_str::<serde_json::Value>(&cell).unwrap(), value);
            assert_eq!(undo(&cell), cell);
            for part in cell.split(is_separator) {
                assert!(!part.trim_start_matches(is_unseen).starts_with(OPERATORS), "{given:?}: {cell:?}");
            }
        }
    }
}
