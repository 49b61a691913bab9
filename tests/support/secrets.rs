//! What nobody may ever see again: the tokens that were handed out. Every answer, every line that is logged and every table is
//! searched for what looks like one, by whichever test there is.

use std::sync::Once;

use parking_lot::Mutex;
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tonic::Status;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::Database;

/// How a secret begins, and how many characters follow at least: API keys, tokens of invitations, JWTs (a header in JSON).
const SHAPES: [(&str, usize); 3] = [("rk_", 60), ("rinv_", 40), ("eyJ", 80)];
/// Where the service logs to, in its own words and in those of its libraries.
const LEVELS: &str = "debug";

/// What was seen and must not be: reported by whichever server stops next.
static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What looks like a secret in a text.
pub fn find(text: &str) -> Option<&str> {
    let inside = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    SHAPES.into_iter().find_map(|(begin, length)| {
        text.match_indices(begin).find_map(|(at, _)| {
            let rest = &text[at + begin.len()..];
            let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
            (end >= length).then(|| &text[at..at + begin.len() + end])
        })
    })
}

/// Searches a line of a log.
pub fn search_line(line: &str) {
    if find(line).is_some() {
        SEEN.lock().push(format!("in a log: {line}"));
    }
}

/// Searches an answer, but for the fields that hand a secret out.
pub fn search_answer(method: &str, answer: &DynamicMessage) {
    let mut answer = answer.clone();
    clear_redacted(&mut answer);
    let text = super::dynamic::to_json(&answer).unwrap().to_string();
    assert_eq!(find(&text), None, "an answer of {method}");
}

/// Searches a refusal.
pub fn search_refusal(method: &str, status: &Status) {
    let text = format!("{} {}", status.message(), String::from_utf8_lossy(status.details()));
    assert_eq!(find(&text), None, "a refusal of {method}");
}

fn clear_redacted(message: &mut DynamicMessage) {
    let redacted = |field: &prost_reflect::FieldDescriptor| {
        field.options().get_field_by_name("debug_redact").is_some_and(|value| value.as_bool() == Some(true))
    };
    for field in message.descriptor().fields().filter(redacted) {
        message.clear_field(&field);
    }
    for (_, value) in message.fields_mut() {
        match value {
            Value::Message(inner) => clear_redacted(inner),
            Value::List(entries) => entries.iter_mut().filter_map(Value::as_message_mut).for_each(clear_redacted),
            _ => {}
        }
    }
}

/// From now on every line is searched that is logged in this process.
pub fn watch_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt().with_env_filter(EnvFilter::new(LEVELS)).with_ansi(false).with_writer(Log).init();
    });
}

struct Log;

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        search_line(&text);
        if std::env::var_os("ROSTER_TEST_LOG").is_some() {
            eprint!("{text}");
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Fails where a secret was seen in a log, or is kept in this database.
pub fn assert_none(database: &Database) {
    let kept = std::thread::scope(|scope| {
        // A runtime of its own: this is called where one runs already.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        scope.spawn(move || runtime.block_on(kept_in(database))).join().unwrap()
    });
    assert_eq!(kept, [""; 0], "secrets are kept");
    assert_eq!(*SEEN.lock(), [""; 0], "secrets were seen");
}

/// Where a database keeps something that looks like a secret: every table of PostgreSQL, every byte of SQLite's files.
pub async fn kept_in(database: &Database) -> Vec<String> {
    match database {
        Database::Sqlite(folder) => {
            let files = std::fs::read_dir(folder.path()).into_iter().flatten().map(|entry| entry.unwrap().path());
            let in_file = |path: std::path::PathBuf| {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
                find(&text).map(|secret| format!("{}: {secret}", path.display()))
            };
            files.filter(|path| path.is_file()).filter_map(in_file).collect()
        }
        Database::Postgres { url } => kept_in_tables(url).await,
    }
}

async fn kept_in_tables(url: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.expect("PostgreSQL answers");
    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    let mut kept = Vec::new();
    for table in tables {
        let rows = AssertSqlSafe(format!("SELECT t::text FROM \"{table}\" t"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&mut connection).await.unwrap();
        let found = rows.iter().find(|row| find(row).is_some() || find(&bytes_of(row)).is_some());
        kept.extend(found.map(|row| format!("{table}: {row}")));
    }
    kept
}

/// The bytes that a row shows in hexadecimal digits, as text.
fn bytes_of(row: &str) -> String {
    let mut text = String::new();
    for part in row.split("\\x").skip(1) {
        let digits: Vec<u32> = part.chars().map_while(|c| c.to_digit(16)).collect();
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect();
        text += &String::from_utf8_lossy(&bytes);
        text.push(' ');
    }
    text
}
