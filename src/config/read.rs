//! Values read from their text; what is wrong is noted, and the reading goes on.

use std::time::Duration;

use super::Faults;

/// A value of a type that can be read from text.
pub fn read<T: std::str::FromStr>(faults: &mut Faults, key: &str, value: &str, expected: &str) -> Option<T> {
    let read = value.parse().ok();
    if read.is_none() {
        faults.push(format!("{key}: {value:?} is not {expected}"));
    }
    read
}

/// A time, in seconds.
pub fn seconds(faults: &mut Faults, key: &str, value: &str) -> Duration {
    Duration::from_secs(read(faults, key, value, "a number of seconds").unwrap_or(0))
}

/// A time, in days: ten years at most.
pub fn days(faults: &mut Faults, key: &str, value: &str) -> Duration {
    const DAYS_MAX: u32 = 3_650;
    let read: u32 = read(faults, key, value, "a number of days").unwrap_or(0);
    if read > DAYS_MAX {
        faults.push(format!("{key}: {value} is more than {DAYS_MAX}"));
    }
    Duration::from_hours(24) * read.min(DAYS_MAX)
}

/// A number that is not 0, and at least so much.
pub fn count(faults: &mut Faults, key: &str, value: &str, least: i32) -> i32 {
    let read = read(faults, key, value, "a number").unwrap_or(least);
    if read < least || read == 0 {
        faults.push(format!("{key}: {value} is too small"));
    }
    read
}
