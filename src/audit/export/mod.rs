//! Exports of a stream, for those who keep it elsewhere.

mod csv;
mod formula;
pub mod jsonl;
pub mod ocsf;

use std::{ops::Range, sync::Arc};

use async_stream::try_stream;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tonic::Status;

use super::{note::Signer, record};
use crate::{
    db::Tx,
    error::{Error, Reason, Result},
    events::{
        Reader, Stream,
        chain::{self, Hash},
        chains, horizon, store,
    },
    ids::TenantId,
    proto::v1 as pb,
};

/// How many events are read at once.
const PAGE: i64 = 500;
/// How large a piece of a file gets before it is sent: one event may be larger.
const CHUNK_BYTES: usize = 64 << 10;

/// How an export is written.
#[derive(Debug, Clone)]
pub enum Form {
    /// Lines that can be proven, signed.
    JsonLines(Arc<Signer>),
    /// A table.
    Csv,
    /// Events of the Open Cybersecurity Schema Framework.
    Ocsf(ocsf::Version),
}

/// An export, as it was asked for, and where it begins.
#[derive(Debug)]
pub struct Export {
    tenant_id: TenantId,
    stream: Stream,
    /// After which sequence, and up to which.
    after: i64,
    up_to: i64,
    /// The chain up to where it begins.
    hash: Hash,
}

impl Export {
    /// Looks where an export begins and ends: after a sequence, up to one, or to the end where that is 0.
    pub async fn begin(tx: &mut Tx, tenant_id: TenantId, stream: Stream, sequences: Range<i64>) -> Result<Self> {
        let Range { start: after, end: up_to } = sequences;
        let end = chains::end(tx, tenant_id, stream).await?;
        let (last, dropped) = end.as_ref().map_or((0, 0), |end| (end.sequence, end.hidden_sequence));
        if after > last {
            return Err(Error::invalid_field("after_sequence", format!("the stream ends at {last}")));
        }
        if up_to > last {
            return Err(Error::invalid_field("up_to_sequence", format!("the stream ends at {last}")));
        }
        let hash = match &end {
            _ if after < dropped => {
                return Err(Error::range_dropped("after_sequence", dropped).with("first_sequence", dropped + 1));
            }
            Some(end) if after == dropped => end.beginning()?,
            Some(_) => chains::at(tx, tenant_id, stream, after)
                .await?
                .ok_or_else(|| Error::internal(format!("the log lacks the event {after} of {stream}")))?,
            None => chain::beginning(stream),
        };
        Ok(Self { tenant_id, stream, after, up_to: if up_to == 0 { last } else { up_to }, hash })
    }
}

/// Sequences have no gaps. Where one is missing that retention has not dropped, somebody was at the database: that is no
/// export.
fn ensure_whole(stream: Stream, after: i64, page: &[store::Proven]) -> Result<()> {
    let found = page.iter().map(|event| event.sequence).chain(page.is_empty().then_some(i64::MAX));
    match (after + 1..).zip(found).find(|(wanted, found)| wanted != found) {
        None => Ok(()),
        Some((wanted, _)) => Err(Error::internal(format!("the log lacks the event {wanted} of {stream}"))),
    }
}

/// An export that is being written.
enum Writer {
    JsonLines(Box<jsonl::Writer>, Arc<Signer>),
    Csv(Arc<str>),
    Ocsf(Arc<str>, ocsf::Version),
}

impl Writer {
    /// Begins a file; answers what comes before the first event, too.
    fn begin(form: Form, export: &Export, stream_epoch: &Arc<str>) -> Result<(Self, Vec<u8>)> {
        let epoch = stream_epoch.clone();
        match form {
            Form::JsonLines(signer) => {
                let Export { tenant_id, stream, after, hash, .. } = *export;
                let (writer, header) = jsonl::Writer::begin(tenant_id, stream, stream_epoch, after, hash)?;
                Ok((Self::JsonLines(Box::new(writer), signer), header))
            }
            Form::Csv => Ok((Self::Csv(epoch), csv::header()?)),
            Form::Ocsf(version) => Ok((Self::Ocsf(epoch, version), Vec::new())),
        }
    }

    /// The line of the next event.
    fn record(&mut self, proven: &store::Proven) -> Result<Vec<u8>> {
        let whole = || record::whole(proven);
        match self {
            Self::JsonLines(writer, _) => writer.record(proven),
            Self::Csv(epoch) => csv::record(&chain::json(&whole())?, epoch),
            Self::Ocsf(epoch, version) => {
                let (event, json) = (pb::Event::decode(&*whole()).map_err(Error::internal)?, chain::json(&whole())?);
                ocsf::record(&event, &json, epoch, *version)
            }
        }
    }

    /// What comes behind the last event.
    fn end(self) -> Result<Vec<u8>> {
        match self {
            Self::JsonLines(writer, signer) => writer.end(&signer),
            Self::Csv(_) | Self::Ocsf(..) => Ok(Vec::new()),
        }
    }
}

/// What an event, as JSON, says: the field of its type (`membership.created` is `membershipCreated`).
fn data(event: &Value) -> Option<&Map<String, Value>> {
    let mut words = event.get("type")?.as_str()?.split(['.', '_']);
    let mut field = words.next()?.to_owned();
    for word in words {
        field.extend(word.chars().next().map(|letter| letter.to_ascii_uppercase()));
        field.extend(word.chars().skip(1));
    }
    event.get(field)?.as_object()
}

fn gone() -> Error {
    Error::new(Reason::Conflict, "retention was at work: begin again")
}

/// The pieces of an export's file.
pub fn chunks(
    log: Reader,
    export: Export,
    form: Form,
) -> impl tokio_stream::Stream<Item = Result<pb::ExportEventsResponse, Status>> + Send {
    try_stream! {
        let (mut writer, mut chunk) = Writer::begin(form, &export, &log.stream_epoch)?;
        let Export { tenant_id, stream, mut after, up_to, .. } = export;
        while after < up_to {
            if log.stop.is_cancelled() {
                Err(Error::new(Reason::ShuttingDown, "the service is stopping: export again on another replica"))?;
            }
            let mut tx = log.db.snapshot().await?;
            let page = store::proven(&mut tx, tenant_id, stream.uuid(), after, up_to, PAGE).await?;
            let dropped = horizon::of(&mut tx, tenant_id, Some(stream)).await?.sequence;
            drop(tx);
            if dropped > after {
                Err(gone())?;
            }
            ensure_whole(stream, after, &page)?;
            for event in page {
                after = event.sequence;
                chunk.extend(writer.record(&event)?);
                if chunk.len() >= CHUNK_BYTES {
                    yield pb::ExportEventsResponse { chunk: std::mem::take(&mut chunk) };
                }
            }
        }
        chunk.extend(writer.end()?);
        yield pb::ExportEventsResponse { chunk };
    }
}

/// The first line of a provable export.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// The version of the form: 1.
    pub roster_audit_export: i32,
    /// Whose events.
    pub tenant: String,
    /// The organization, or the tenant for its own stream.
    pub stream: String,
    /// Which log.
    pub stream_epoch: String,
    /// The first sequence.
    pub from: i64,
    /// The chain before it, in hexadecimal.
    pub previous_hash: String,
}

impl Header {
    /// Which stream it is of; nothing where there is no such.
    pub fn stream(&self) -> Option<Stream> {
        let stream: Stream = self.stream.parse().ok()?;
        let is_of_tenant = !matches!(stream, Stream::Tenant(_)) || self.stream == self.tenant;
        Some(stream).filter(|_| is_of_tenant && self.tenant.parse::<TenantId>().is_ok())
    }
}

/// The last line of a provable export.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct End {
    /// The version of the form: 1.
    pub roster_audit_export_end: i32,
    /// How many events there are.
    pub events: i64,
    /// The last sequence; one less than the first where there are none.
    pub through: i64,
    /// The chain up to and with it, in hexadecimal.
    pub hash: String,
    /// SHA-256 of all lines before this one, in hexadecimal.
    pub digest: String,
    /// What the service signs: the [`statement`], as a signed note.
    pub note: String,
}

/// What is signed of a stream up to a sequence: the three lines of a checkpoint (C2SP tlog-checkpoint: origin, size, hash),
/// and more lines where there is more to say.
pub fn checkpoint(name: &str, stream: &str, sequence: i64, hash: &str, more: &[String]) -> String {
    let mut text = format!("{name}/{stream}\n{sequence}\n{}\n", base64(hash));
    more.iter().for_each(|line| text.extend([line.as_str(), "\n"]));
    text
}

/// What is signed of an export, whose first line has this hash.
pub fn statement(name: &str, header: &Header, header_hash: &Hash, end: &End) -> String {
    let from = format!("from {} {}", header.from, base64(&header.previous_hash));
    let more = [from, header_statement(header_hash), format!("export {}", base64(&end.digest))];
    checkpoint(name, &header.stream, end.through, &end.hash, &more)
}

/// What is signed of an export's first line.
pub fn header_statement(hash: &Hash) -> String {
    format!("header {}", STANDARD.encode(hash))
}

/// A hash in base64, from hexadecimal; what is no hash is left as it is.
fn base64(hash: &str) -> String {
    let bytes: Option<Hash> = chain::unhex(hash);
    bytes.map_or_else(|| hash.to_owned(), |bytes| STANDARD.encode(bytes))
}
