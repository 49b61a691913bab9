//! What was found where two things should be the same.

use std::fmt;

use serde::Serialize;

/// How two states differ.
#[derive(Debug, Default, Serialize)]
pub struct Difference {
    /// How many things the database has.
    pub compared: u64,
    /// What is not the same in both.
    pub different: Finding,
    /// Whether personal fields were left out of the comparison, for the topic leaves them out.
    pub without_personal: bool,
}

/// How many faults of a kind are named.
const NAMED_MAX: usize = 10;

/// Faults of one kind: all counted, the first ones named, by ids and sequences alone.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Finding {
    /// How many there are.
    pub count: u64,
    /// The first ones.
    pub first: Vec<String>,
}

impl Finding {
    /// One more.
    pub fn add(&mut self, name: impl fmt::Display) {
        self.add_many(1, name);
    }

    /// So many more, under one name.
    pub fn add_many(&mut self, count: u64, name: impl fmt::Display) {
        self.count = self.count.saturating_add(count);
        if self.first.len() < NAMED_MAX {
            self.first.push(name.to_string());
        }
    }

    /// Others before these.
    pub fn put_first(&mut self, others: Self) {
        self.count = self.count.saturating_add(others.count);
        self.first.splice(0..0, others.first);
        self.first.truncate(NAMED_MAX);
    }
}
