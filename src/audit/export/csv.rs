//! An export as a table (RFC 4180): a line of names, and a line for each event.

use serde_json::{Map, Value};

use super::{data, formula};
use crate::{
    error::{Error, Result},
    events::{chain, cloud_event},
};

/// The names of the columns. Further ones come behind the last.
const COLUMNS: [&str; 23] = [
    "time",
    "sequence",
    "event_id",
    "type",
    "tenant_id",
    "organization_id",
    "subject_kind",
    "subject_id",
    "actor_kind",
    "actor_id",
    "actor_address",
    "actor_user_agent",
    "request_id",
    "correlation_id",
    "causation_id",
    "reason",
    "changed_fields",
    "before",
    "after",
    "data",
    "trace_parent",
    "source",
    "stream_epoch",
];

/// The line of names.
pub fn header() -> Result<Vec<u8>> {
    line(&COLUMNS)
}

/// The line of an event, as JSON.
pub fn record(event: &Value, stream_epoch: &str) -> Result<Vec<u8>> {
    line(&cells(event, stream_epoch)?)
}

fn cells(event: &Value, stream_epoch: &str) -> Result<[String; COLUMNS.len()]> {
    let raw = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let text = |pointer: &str| formula::text(raw(pointer));
    let mut data = data(event).cloned().unwrap_or_default();
    let (before, after) = (data.remove("before"), data.remove("after"));
    let changed = event.get("changedFields").and_then(Value::as_array).map(|fields| {
        let fields: Vec<_> = fields.iter().filter_map(Value::as_str).collect();
        fields.join(" ")
    });
    Ok([
        text("/occurTime"),
        text("/sequence"),
        text("/eventId"),
        text("/type"),
        text("/tenantId"),
        text("/organizationId"),
        text("/subject/kind"),
        text("/subject/id"),
        raw("/actor/kind").trim_start_matches("EVENT_ACTOR_KIND_").to_lowercase(),
        text("/actor/id"),
        text("/actor/address"),
        text("/actor/userAgent"),
        text("/requestId"),
        text("/correlationId"),
        text("/causationId"),
        text("/reason"),
        formula::text(&changed.unwrap_or_default()),
        json(before)?,
        json(after)?,
        json(without_nothing(data))?,
        text("/traceParent"),
        formula::text(&cloud_event::source(raw("/tenantId"), raw("/organizationId"))),
        formula::text(stream_epoch),
    ])
}

fn without_nothing(data: Map<String, Value>) -> Option<Value> {
    (!data.is_empty()).then_some(Value::Object(data))
}

/// A cell of JSON, in the one canonical form; empty where there is none.
fn json(value: Option<Value>) -> Result<String> {
    let Some(value) = value else { return Ok(String::new()) };
    let text = String::from_utf8(chain::canonical(&value)?).map_err(Error::internal)?;
    Ok(formula::json(&text))
}

fn line(cells: &[impl AsRef<[u8]>]) -> Result<Vec<u8>> {
    let mut form = csv::WriterBuilder::new();
    form.quote_style(csv::QuoteStyle::Always).terminator(csv::Terminator::CRLF);
    let mut writer = form.from_writer(Vec::new());
    writer.write_record(cells).map_err(Error::internal)?;
    writer.into_inner().map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_is_read_back_by_whoever_reads_tables() {
        let hostile = "\t=1\r\n@b \"c\", ;+1";
        let event = json!({
            "type": "team.role_assigned",
            "reason": hostile,
            "actor": {"kind": "EVENT_ACTOR_KIND_API_KEY"},
            "changedFields": ["name", "roles"],
            "teamRoleAssigned": {"before": {"name": hostile}, "after": {"roles": ["-x"]}, "more": 1},
        });
        let file = [header().unwrap(), record(&event, "epoch").unwrap()].concat();
        assert!(!file.windows(2).any(|pair| pair == b",=" || pair == b"\"="));
        let mut reader = csv::Reader::from_reader(&*file);
        let names = reader.headers().unwrap().clone();
        let row = reader.records().next().unwrap().unwrap();
        let cell = |name: &str| &row[names.iter().position(|column| column == name).unwrap()];
        assert_eq!(cell("reason"), "'\t'=1\r\n'@b \"c\", ;'+1");
        assert_eq!((cell("actor_kind"), cell("changed_fields")), ("api_key", "name roles"));
        let parsed = |name: &str| serde_json::from_str::<Value>(cell(name)).unwrap();
        assert_eq!((parsed("before"), parsed("data")), (json!({"name": hostile}), json!({"more": 1})));
        assert_eq!(cell("after"), "{\"roles\":[\"-x\"]}");
    }
}
