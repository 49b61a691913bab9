//! The architecture, held: what must not know what, read from the source itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The nouns, each in a folder of its own.
const SLICES: [&str; 13] = [
    "tenants",
    "api_keys",
    "users",
    "organizations",
    "memberships",
    "teams",
    "permissions",
    "roles",
    "resources",
    "grants",
    "policies",
    "invitations",
    "domains",
];

/// The project's folder: where this run has it. A build that is found again may be of another clone.
fn root() -> PathBuf {
    let built = env!("CARGO_MANIFEST_DIR");
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| built.into(), PathBuf::from)
}

/// Every source file: its path below `src`, and its text without comments and tests.
fn sources() -> Vec<(String, String)> {
    let root = root().join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        (path.strip_prefix(&root).unwrap().display().to_string(), code.join("\n"))
    };
    files.into_iter().map(read).collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The files that contain one of these words and are not allowed to.
fn offenders(words: &[&str], allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let offends = |(path, code): (String, String)| {
        let word = words.iter().find(|word| code.contains(**word))?;
        (!allowed(&path)).then(|| format!("{path}: {word}"))
    };
    sources().into_iter().filter_map(offends).collect()
}

fn slice_of(path: &str) -> Option<&'static str> {
    SLICES.into_iter().find(|slice| path.starts_with(&format!("{slice}/")))
}

const NOTHING: [String; 0] = [];

#[test]
fn of_a_slice_only_rpc_and_wire_know_protobuf() {
    let found = offenders(&["proto::", "pb::", "prost"], |path| {
        slice_of(path).is_none() || path.ends_with("/rpc.rs") || path.ends_with("/wire.rs")
    });
    assert_eq!(found, NOTHING);
}

#[test]
fn only_db_knows_sqlx() {
    let found = offenders(&["use sqlx", " sqlx::", "(sqlx::", "<sqlx::"], |path| path.starts_with("db/"));
    assert_eq!(found, NOTHING);
}

#[test]
fn only_cedar_knows_the_policy_crate_and_it_knows_no_storage_and_no_contract() {
    let found = offenders(&["cedar_policy"], |path| path.starts_with("cedar/"));
    assert_eq!(found, NOTHING);
    let found = offenders(&["db::", "proto::", "pb::", "tx:"], |path| !path.starts_with("cedar/"));
    assert_eq!(found, NOTHING);
}

#[test]
fn only_the_relay_knows_librdkafka() {
    let found = offenders(&["rdkafka::"], |path| path.starts_with("relay/"));
    assert_eq!(found, NOTHING);
}

#[test]
fn only_storage_and_the_lease_ask_which_engine_it_is() {
    let found = offenders(&["is_postgres", "Db::Postgres"], |path| path.starts_with("db/") || path == "lease.rs");
    assert_eq!(found, NOTHING);
}

#[test]
fn sql_stands_in_stores_the_log_and_what_the_log_feeds() {
    let allowed = [
        "/store.rs",
        "events/store.rs",
        "events/chains.rs",
        "events/base.rs",
        "events/horizon.rs",
        "decision/load.rs",
        "sequencer.rs",
        "lease.rs",
        "relay/cursor.rs",
        "upgrade.rs", // reads the tables of a version before
    ];
    let statements = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "];
    let found = offenders(&statements, |path| path.starts_with("db/") || allowed.iter().any(|end| path.ends_with(end)));
    assert_eq!(found, NOTHING);
}

#[test]
fn nothing_but_append_writes_to_the_log_and_nothing_but_the_sequencer_numbers_it() {
    let found = offenders(&["INSERT INTO events "], |path| path == "events/store.rs");
    assert_eq!(found, NOTHING);
    // Personal data of events is kept apart from them by append, read with them, and emptied.
    let found = offenders(&["events_personal"], |path| path == "events/store.rs" || path == "upgrade.rs");
    assert_eq!(found, NOTHING);
    let found = offenders(&["INSERT INTO events_positions"], |path| path == "sequencer.rs");
    assert_eq!(found, NOTHING);
    let found = offenders(&["store::insert(tx, rows)"], |path| path == "events/mod.rs");
    assert_eq!(found, NOTHING);
}

#[test]
fn what_is_downstream_of_the_log_knows_no_slice() {
    let downstream = ["decision/", "relay/", "sequencer.rs", "lease.rs", "events/"];
    for (path, code) in sources() {
        if !downstream.iter().any(|room| path.starts_with(room)) || path.ends_with("/rpc.rs") {
            continue;
        }
        for slice in SLICES {
            assert!(!code.contains(&format!("crate::{slice}")), "{path} knows {slice}");
            assert!(!code.contains(&format!("    {slice}::")), "{path} knows {slice}");
        }
    }
}

#[test]
fn a_slice_never_reaches_into_another_ones_store_or_rpc() {
    for (path, code) in sources() {
        for slice in SLICES.into_iter().filter(|slice| slice_of(&path) != Some(slice)) {
            for inner in ["store", "wire"] {
                assert!(!code.contains(&format!("{slice}::{inner}")), "{path} reaches into {slice}::{inner}");
            }
        }
    }
}

#[test]
fn every_statement_of_a_slice_names_the_tenant() {
    /// Before a caller's tenant is known; and what happens by itself, in whichever tenant.
    const ACROSS: [&str; 7] = [
        "FROM api_keys WHERE id = $1",
        "FROM domains WHERE next_check_at <= $1",
        "FROM slugs_held WHERE held_until <= $1",
        "FROM organizations WHERE status = 'deleting'",
        "status = 'active' AND ends_at <= $1",
        "status = 'pending' AND expires_at <= $1",
        "WHERE due_at <= $1",
    ];
    for (path, code) in sources() {
        if !path.ends_with("/store.rs") || slice_of(&path).is_none() || path.starts_with("tenants/") {
            continue;
        }
        let macros =
            code.split("macro_rules! ").skip(1).filter_map(|rules| rules.split("\n}\n").next()?.split_once(' '));
        let macros: Vec<_> = macros.collect();
        let functions = code.split("pub async fn ").skip(1);
        for function in functions {
            let name = function.split('(').next().unwrap();
            let words: Vec<_> = function.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '!').collect();
            let used = macros.iter().filter(|(name, _)| words.contains(&format!("{name}!").as_str())).map(|it| it.1);
            let sql: Vec<_> = used.chain([function]).flat_map(|text| text.split('"').skip(1).step_by(2)).collect();
            let sql = sql.join(" ");
            if ACROSS.iter().any(|exception| sql.contains(exception)) {
                continue;
            }
            if sql.contains("WHERE") {
                assert!(sql.contains("tenant_id = $1"), "{path}: {name}: {sql}");
            } else if sql.contains("INSERT INTO") {
                assert!(sql.contains("tenant_id") || function.contains("columns!()"), "{path}: {name}: {sql}");
            } else {
                assert!(!sql.contains("FROM"), "{path}: {name}: {sql}");
            }
        }
    }
}

#[test]
fn nothing_but_opening_a_request_makes_the_context_of_a_callers_change() {
    // Who calls, and by what right, is decided there. Elsewhere a context may do everything.
    let found = offenders(&["Ctx::local(", "Authority::System"], |path| {
        ["service.rs", "bootstrap.rs", "context.rs", "sweeper.rs", "mail/mod.rs", "domains/check.rs"].contains(&path)
            || path.starts_with("authority/")
            || path.starts_with("cli/")
    });
    assert_eq!(found, NOTHING);
}

#[test]
fn time_and_randomness_are_parameters() {
    let found = offenders(&["SystemTime::now"], |path| path == "clock.rs");
    assert_eq!(found, NOTHING);
}

#[test]
fn the_readme_shows_the_example_that_is_compiled() {
    let root = root();
    let example = fs::read_to_string(root.join("examples/check.rs")).unwrap();
    let (begin, end) = (example.find("use roster").unwrap(), example.find("\n#[tokio::main").unwrap());
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(
        readme.contains(&format!("```rust\n{}```", &example[begin..end])),
        "copy examples/check.rs into the README"
    );
}
