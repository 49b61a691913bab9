//! How the log is signed.

use std::{path::PathBuf, time::Duration};

use super::{Faults, Settings, read::count};
use crate::{
    audit::{self, key::KeyFile},
    db::Location,
};

/// The name of the key's file in the data folder.
const KEY: &str = "audit-key.pem";

/// Checks the settings of the key.
pub fn read(faults: &mut Faults, settings: &Settings, location: &Location) -> audit::Settings {
    let name = settings.audit_name.clone();
    // C2SP signed-note, "Format": a name is not empty, and has neither spaces nor a plus sign.
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+') {
        faults.push(format!("audit_name: {name:?} is empty, or has a space or a plus sign"));
    }
    let hours = count(faults, "audit_checkpoint_hours", &settings.audit_checkpoint_hours, 1);
    let key = match (settings.audit_key_file.as_str(), location) {
        ("", Location::Folder(folder)) => Some(KeyFile { path: folder.join(KEY), make: true, name }),
        ("", Location::Postgres { .. }) => None,
        (path, _) => Some(KeyFile { path: PathBuf::from(path), make: false, name }),
    };
    audit::Settings { key, checkpoint_after: Duration::from_hours(u64::try_from(hours).unwrap_or(1)) }
}
