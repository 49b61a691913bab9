//! How the contract may change: what `make proto` finds, and what it lets through.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::support::root;

/// A copy of the contract, to be changed.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&root().join("proto"), folder.path());
        Self(folder)
    }

    /// Replaces words that are in a file once.
    fn change(self, file: &str, old: &str, new: &str) -> Self {
        let path = self.0.path().join("roster/v1").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(old).count(), 1, "{file}: {old}");
        fs::write(path, text.replace(old, new)).unwrap();
        self
    }

    fn check(&self) -> Output {
        let proto = format!("PROTO={}", self.0.path().display());
        // Its own make, and not a part of one that runs the tests.
        let mut make = Command::new("make");
        make.args(["--no-print-directory", "proto", &proto]).current_dir(root());
        make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").output().expect("make runs")
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            (entry.path(), to)
        };
        if entry.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&entry, &to);
        } else {
            fs::copy(&entry, &to).unwrap();
        }
    }
}

fn assert_found(changed: &Copy, words: &str) {
    let output = changed.check();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && said.contains(words), "{words}: {said}");
}

#[test]
fn what_would_break_somebody_is_found() {
    let event = |old, new| Copy::new().change("event.proto", old, new);
    assert_found(&event("string event_id = 1;", "string id = 1;"), "changed name from \"event_id\" to \"id\"");
    assert_found(&event("string reason = 15;", "string reason = 18;"), "\"15\" with name \"reason\"");
    assert_found(
        &event("int32 schema_version = 3;", "int64 schema_version = 3;"),
        "changed type from \"int32\" to \"int64\"",
    );
    let dropped = event("    // `team.moved`.\n    TeamMoved team_moved = 131;\n", "");
    assert_found(&dropped, "\"131\" with name \"team_moved\"");
    assert_found(&event("EVENT_ACTOR_KIND_USER = 4", "EVENT_ACTOR_KIND_PERSON = 4"), "EVENT_ACTOR_KIND_USER");
    let method =
        Copy::new().change("event_service.proto", "returns (GetEventResponse)", "returns (ListEventsResponse)");
    assert_found(&method, "GetEvent");
    assert_found(
        &event("option java_package = \"dev.roster.v1\"", "option java_package = \"dev.roster\""),
        "java_package",
    );
}

#[test]
fn what_is_added_passes() {
    let added = Copy::new()
        .change("event.proto", "  // What happened.\n", "  // New.\n  string added = 18;\n  // What happened.\n")
        .change(
            "event.proto",
            "  EVENT_ACTOR_KIND_SERVICE = 5;",
            "  EVENT_ACTOR_KIND_SERVICE = 5;\n  // New.\n  EVENT_ACTOR_KIND_NEW = 6;",
        )
        .change(
            "event.proto",
            "InvitationErased invitation_erased = 178;",
            "InvitationErased invitation_erased = 178;\n    // `thing.made`.\n    ThingMade thing_made = 900;",
        )
        .change(
            "event.proto",
            "// An API key was made.",
            "// A thing was made.\nmessage ThingMade {}\n\n// An API key was made.",
        );
    let output = added.check();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
