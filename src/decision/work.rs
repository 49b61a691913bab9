//! How much one request may do.

use crate::error::{Error, Reason, Result};

/// What one policy costs, where a decision without policies costs 1.
const POLICY: usize = 10;
/// How much is done at once, before others get their turn.
const SLICE: usize = 5_000;

/// The work that a request may still do, in decisions.
#[derive(Debug)]
pub struct Work {
    left: usize,
    /// What is left of the present slice.
    slice: usize,
    max: usize,
}

impl Work {
    /// This many decisions.
    pub fn new(max: usize) -> Self {
        Self { left: max, slice: SLICE, max }
    }

    /// What one decision costs with this many policies.
    pub fn of_decision(policies: usize) -> usize {
        1 + POLICY * policies
    }

    /// Does this much, if it may. The first thing may always be done: whoever asks again comes further.
    pub fn take(&mut self, units: usize) -> bool {
        if self.left < units && self.left < self.max {
            return false;
        }
        self.left = self.left.saturating_sub(units);
        self.slice = self.slice.saturating_sub(units);
        true
    }

    /// Whether others should get their turn now.
    pub fn slice_is_over(&self) -> bool {
        self.slice == 0
    }

    /// Begins another slice.
    pub fn next_slice(&mut self) {
        self.slice = SLICE;
    }

    /// Fails with `WORK_LIMIT_EXCEEDED` where so many decisions, of these units together and at most `costliest` each,
    /// are more than may be done. As many as it says then fit, whichever they are; and one alone always does.
    pub fn ensure_enough(&self, decisions: usize, units: usize, costliest: usize) -> Result<()> {
        if units <= self.max || decisions <= 1 {
            return Ok(());
        }
        let fit = (self.max / costliest.max(1)).max(1);
        let message =
            format!("{decisions} questions are more work than one request may do: send at most {fit} at once");
        Err(Error::new(Reason::WorkLimitExceeded, message).with("limit", self.max).with("questions_max", fit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_but_always_begins() {
        let mut work = Work::new(10);
        assert!(work.take(25), "the first");
        assert!(!work.take(1));
        let mut work = Work::new(10);
        assert!((0..10).all(|_| work.take(1)) && !work.take(1));
        assert!(work.ensure_enough(10, 10, 1).is_ok());
        assert!(work.ensure_enough(1, 11, 11).is_ok(), "one alone");
        let refused = work.ensure_enough(6, 12, 4).unwrap_err();
        assert_eq!(refused.reason(), Reason::WorkLimitExceeded);
        assert!(refused.message().contains("at most 2 at once"), "as many of the costliest as fit");
    }
}
