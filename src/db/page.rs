//! Pages of long lists: keyset tokens, opaque to the caller and bound to the filters of the list.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, Reason, Result};

/// How many entries a page holds where the caller does not say.
const SIZE_DEFAULT: i64 = 100;
/// How many entries a page holds at most.
pub const SIZE_MAX: i32 = 1000;

/// Which page of a list is asked for.
#[derive(Debug, Clone)]
pub struct Page {
    size: i64,
    after: Option<String>,
    filters: [u8; 8],
}

/// One page, and the token of the next.
#[derive(Debug)]
pub struct Paged<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Empty on the last page.
    pub next_page_token: String,
}

impl Page {
    /// Reads a page token; `filters` is whatever else the request filters by.
    pub fn parse(size: i32, token: &str, filters: &str) -> Result<Self> {
        let digest = Sha256::digest(filters);
        let mut page = Self {
            size: if size == 0 { SIZE_DEFAULT } else { i64::from(size) },
            after: None,
            filters: digest[..8].try_into().expect("eight bytes"),
        };
        if !token.is_empty() {
            page.after = Some(page.open(token).ok_or_else(|| {
                Error::new(Reason::InvalidPageToken, "the page token is malformed or belongs to other filters")
            })?);
        }
        Ok(page)
    }

    fn open(&self, token: &str) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let key = bytes.strip_prefix(&self.filters)?;
        String::from_utf8(key.to_vec()).ok().filter(|key| !key.chars().any(char::is_control))
    }

    /// The key of the last entry before this page; none for the first page.
    pub fn after<K: std::str::FromStr>(&self) -> Result<Option<K>> {
        let parse =
            |key: &String| key.parse().map_err(|_| Error::new(Reason::InvalidPageToken, "the page token is malformed"));
        self.after.as_ref().map(parse).transpose()
    }

    /// How many entries the page holds.
    pub fn size(&self) -> usize {
        usize::try_from(self.size).expect("positive")
    }

    /// The token of the page behind this key.
    pub fn token(&self, key: &str) -> String {
        URL_SAFE_NO_PAD.encode([&self.filters[..], key.as_bytes()].concat())
    }

    /// How many rows to ask for: one more than the page holds, to know whether there is a next.
    pub fn limit(&self) -> i64 {
        self.size + 1
    }

    /// Cuts the rows to the page; `key` is what the list is ordered by.
    pub fn cut<T>(&self, mut items: Vec<T>, key: impl FnOnce(&T) -> String) -> Paged<T> {
        let size = self.size();
        let more = items.len() > size;
        items.truncate(size);
        let next_page_token = match items.last() {
            Some(last) if more => self.token(&key(last)),
            _ => String::new(),
        };
        Paged { items, next_page_token }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_to_the_next_page_of_the_same_list_only() {
        let page = Page::parse(2, "", "a").unwrap().cut(vec![1, 2, 3], ToString::to_string);
        assert_eq!(page.items, [1, 2]);
        let next = Page::parse(2, &page.next_page_token, "a").unwrap();
        assert_eq!(next.after::<i32>().unwrap(), Some(2));
        assert_eq!(Page::parse(2, &page.next_page_token, "b").unwrap_err().reason(), Reason::InvalidPageToken);
        assert_eq!(Page::parse(2, "?", "a").unwrap_err().reason(), Reason::InvalidPageToken);
        assert_eq!(next.cut(vec![3, 4], ToString::to_string).next_page_token, "");
    }
}
