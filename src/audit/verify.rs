//! Proves an export off-line: that it is what the service signed, record by record, and if not, which is the first that
//! is not.

use std::{fmt, io::BufRead};

use serde::Deserialize as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    export::{End, Header},
    note::Verifier,
    record::{self, Proof, Seal},
};
use crate::events::chain::{self, Hash, hex};

/// The most that a line may have: an event of the largest size, as JSON, with its proof.
const LINE_BYTES_MAX: usize = 8 << 20;

/// What was proven.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proven {
    /// Which stream.
    pub stream: String,
    /// The first sequence.
    pub from: i64,
    /// The last one; one less than the first where the export is empty.
    pub through: i64,
    /// Who signed.
    pub signed_by: String,
}

/// The first thing that is wrong.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// The line, from 1; 0 where it is none of the export that is wrong, but the kept checkpoint.
    pub line: usize,
    /// The sequence that is wanted there; nothing where it is the first line or the last.
    pub sequence: Option<i64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            Some(sequence) => write!(f, "line {}, the record of sequence {sequence}: {}", self.line, self.what),
            None if self.line == 0 => f.write_str(&self.what), // of no line of the export
            None => write!(f, "line {}: {}", self.line, self.what),
        }
    }
}

/// Why a line is refused.
type Refusal = String;

/// What a kept note is instead of a checkpoint that its key signed.
#[derive(Debug, PartialEq, Eq)]
pub enum NotKept {
    /// Something else: nothing can be held against it.
    Other(&'static str),
    /// Signed by nobody, or by another key.
    Unsigned(String),
}

/// A checkpoint that somebody kept, and that its key signed.
#[derive(Debug)]
pub struct Kept {
    name: String,
    text: String,
}

impl Kept {
    /// Opens a kept note, whatever the lines of its file end with.
    pub fn open(note: &str, verifier: &Verifier) -> Result<Self, NotKept> {
        let note = note.replace("\r\n", "\n").trim().to_owned() + "\n";
        if !note.contains("\n\n\u{2014} ") {
            return Err(NotKept::Other("no signed note: keep `note` of a checkpoint, as text"));
        }
        let name = verifier.name().to_owned();
        let text = verifier.open(&note).ok_or_else(|| NotKept::Unsigned(format!("not signed by the key of {name}")))?;
        if text.lines().any(|line| line.starts_with("export ")) {
            return Err(NotKept::Other("the end of an export, and no checkpoint"));
        }
        Ok(Self { name, text: text.to_owned() })
    }
}

/// Proves an export. The outer error is one of reading. A checkpoint that somebody kept is held against it, where there is
/// one.
pub fn verify(from: impl BufRead, verifier: &Verifier, kept: Option<&Kept>) -> std::io::Result<Result<Proven, Fault>> {
    let lines = Lines { from, number: 0 };
    let mut proof = Verification { lines, digest: Sha256::new(), header_hash: [0; 32], end: None };
    let proven = proof.run(verifier, kept)?;
    match proven {
        Err(fault) if fault.line > 1 && proof.header_was_changed(verifier)? => {
            let what = "the header was changed: it is not what was signed".to_owned();
            Ok(Err(Fault { line: 1, sequence: None, what }))
        }
        proven => Ok(proven),
    }
}

struct Verification<R> {
    lines: Lines<R>,
    /// Of every line but the last.
    digest: Sha256,
    /// Of the first line.
    header_hash: Hash,
    /// The last line, once it was read.
    end: Option<Vec<u8>>,
}

impl<R: BufRead> Verification<R> {
    fn run(&mut self, verifier: &Verifier, kept: Option<&Kept>) -> std::io::Result<Result<Proven, Fault>> {
        let Some(line) = self.lines.next()? else { return Ok(Err(self.fault(None, "empty: not an export"))) };
        self.header_hash = Sha256::digest(&line).into();
        let mut at = match parse::<Header>(&line).and_then(Place::begin) {
            Ok(place) => place,
            Err(what) => return Ok(Err(self.fault(None, what))),
        };
        self.digest.update(&line);
        loop {
            let Some(line) = self.lines.next()? else {
                self.lines.number += 1;
                return Ok(Err(self.fault(Some(at.next), "missing: the export was cut off")));
            };
            if is_end(&line) {
                let done = at.check_kept(kept).and_then(|()| self.end(&line, &at, verifier));
                self.end = Some(line);
                let proven = match done {
                    Ok(proven) => proven,
                    Err(what) => return Ok(Err(self.fault(None, what))),
                };
                return Ok(match self.lines.next()? {
                    None => Ok(proven),
                    Some(_) => Err(self.fault(None, "something follows the end")),
                });
            }
            if let Err(what) = at.follow(&line, verifier) {
                return Ok(Err(self.fault(Some(at.next), what)));
            }
            self.digest.update(&line);
        }
    }

    fn end(&self, line: &[u8], at: &Place, verifier: &Verifier) -> Result<Proven, Refusal> {
        let end: End = parse(line)?;
        let (count, digest) = (at.next - at.header.from, hex(&self.digest.clone().finalize()));
        if (end.events, end.through, end.hash.as_str()) != (count, at.next - 1, hex(&at.hash).as_str()) {
            return Err(format!("the end speaks of {} events up to sequence {}", end.events, end.through));
        }
        let signed_once = end.note.matches("\n\u{2014} ").count() == 1;
        let text = verifier.open(&end.note).filter(|_| signed_once);
        let text = text.ok_or_else(|| format!("not signed by the key of {}", verifier.name()))?;
        if text != super::export::statement(verifier.name(), &at.header, &self.header_hash, &end) {
            return Err("what was signed is not what the export says".to_owned());
        }
        if end.digest != digest {
            let what = "every record is right, and not all is as it was signed: personal data was taken out";
            return Err(what.to_owned());
        }
        let (stream, from, through) = (at.header.stream.clone(), at.header.from, end.through);
        Ok(Proven { stream, from, through, signed_by: verifier.name().to_owned() })
    }

    /// Whether it is the header that is wrong, where something is: what follows is held against it, and only the end, which
    /// is signed, tells which of them is right.
    fn header_was_changed(&mut self, verifier: &Verifier) -> std::io::Result<bool> {
        while self.end.is_none() {
            let Some(line) = self.lines.next()? else { return Ok(false) };
            self.end = Some(line).filter(|line| is_end(line));
        }
        let end: Option<End> = self.end.as_ref().and_then(|end| serde_json::from_slice(end).ok());
        let signed = end.as_ref().and_then(|end| verifier.open(&end.note));
        let header = signed.and_then(|text| text.lines().find(|line| line.starts_with("header ")));
        Ok(header.is_some_and(|header| header != super::export::header_statement(&self.header_hash)))
    }

    fn fault(&self, sequence: Option<i64>, what: impl Into<String>) -> Fault {
        Fault { line: self.lines.number, sequence, what: what.into() }
    }
}

/// How far an export was proven.
struct Place {
    header: Header,
    /// The sequence that comes next.
    next: i64,
    /// The chain so far.
    hash: Hash,
    /// The chain before each record.
    hashes: Vec<Hash>,
}

impl Place {
    fn begin(header: Header) -> Result<Self, Refusal> {
        let stream = header.stream().ok_or("neither a stream of an organization nor one of a tenant")?;
        let hash = chain::unhex(&header.previous_hash).ok_or("previousHash is no hash")?;
        match header.from {
            ..1 => return Err("it begins before the first event".to_owned()),
            1 if hash != chain::beginning(stream) => return Err("not the beginning of its stream's chain".to_owned()),
            _ => {}
        }
        Ok(Self { next: header.from, hash, hashes: Vec::new(), header })
    }

    /// Proves the next record.
    fn follow(&mut self, line: &[u8], verifier: &Verifier) -> Result<(), Refusal> {
        let value: Value = serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
        let event = value.pointer("/data/event").cloned().ok_or("not a record of an export: no data.event")?;
        let proof = value.pointer("/data/proof").cloned().ok_or("not a record of an export: no data.proof")?;
        let proof = Proof::deserialize(proof).map_err(|error| format!("its proof: {error}"))?;
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("sequence") != self.next.to_string() {
            return Err(format!("sequence {:?} is in its place", text("sequence")));
        }
        let stream = if text("organizationId").is_empty() { text("tenantId") } else { text("organizationId") };
        if text("tenantId") != self.header.tenant || stream != self.header.stream {
            return Err("an event of another stream".to_owned());
        }
        if proof.previous_hash != hex(&self.hash) {
            return Err("it does not follow the record before it".to_owned());
        }
        let hash = chain::next(&self.hash, &leaf(event.clone(), &proof)?);
        if proof.hash != hex(&hash) {
            return Err(format!("event {} is not what was recorded", text("eventId")));
        }
        if record::line(&event, &proof).ok().as_deref() != Some(line) {
            return Err(format!("event {} is not written as it was exported", text("eventId")));
        }
        self.check_checkpoint(&event, verifier)?;
        self.hashes.push(self.hash);
        (self.next, self.hash) = (self.next + 1, hash);
        Ok(())
    }

    /// Holds a checkpoint that somebody kept against the export.
    fn check_kept(&self, kept: Option<&Kept>) -> Result<(), Refusal> {
        let Some(Kept { name, text }) = kept else { return Ok(()) };
        let sequence = text.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(-1);
        if self.hash_at(sequence).is_none() {
            let (from, through) = (self.header.from, self.next - 1);
            return Err(format!("the kept checkpoint is of sequence {sequence}; the export has {from} to {through}"));
        }
        self.check_signed(name, text)
    }

    /// What was signed of the stream earlier on must be what the export has of it.
    fn check_checkpoint(&self, event: &Value, verifier: &Verifier) -> Result<(), Refusal> {
        let Some(note) = event.pointer("/checkpointSigned/checkpoint/note").and_then(Value::as_str) else {
            return Ok(());
        };
        match verifier.open(note) {
            Some(text) => self.check_signed(verifier.name(), text),
            None => Ok(()), // of another key: of one before
        }
    }

    /// Holds what was signed, of this stream up to a sequence, against the chain.
    fn check_signed(&self, name: &str, text: &str) -> Result<(), Refusal> {
        let mut lines = text.lines();
        let (origin, sequence) = (lines.next().unwrap_or_default(), lines.next().and_then(|line| line.parse().ok()));
        let sequence: i64 = sequence.ok_or("what was signed names no sequence")?;
        if origin != format!("{name}/{}", self.header.stream) {
            return Err(format!("what was signed is of {origin}"));
        }
        let Some(hash) = self.hash_at(sequence) else { return Ok(()) };
        if text != super::export::checkpoint(name, &self.header.stream, sequence, &hex(hash), &[]) {
            return Err(format!("up to sequence {sequence} it is not what was signed then"));
        }
        Ok(())
    }

    /// The chain up to a sequence, where the export has it.
    fn hash_at(&self, sequence: i64) -> Option<&Hash> {
        let index = usize::try_from(sequence + 1 - self.header.from).ok()?;
        if index == self.hashes.len() { Some(&self.hash) } else { self.hashes.get(index) }
    }
}

/// The leaf of an event, whose personal fields are as they were sealed, or erased.
fn leaf(mut event: Value, proof: &Proof) -> Result<Hash, Refusal> {
    let subject = open(&mut event, proof.personal.subject.as_ref())?;
    let actor = open(&mut event, proof.personal.actor.as_ref())?;
    chain::leaf(event, subject, actor).map_err(|error| error.to_string())
}

/// Takes what is sealed out of an event, and compares it with its seal.
fn open(event: &mut Value, seal: Option<&Seal>) -> Result<Option<Hash>, Refusal> {
    let Some(Seal { seal, open }) = seal else { return Ok(None) };
    let seal = chain::unhex(seal).ok_or("a seal is no hash")?;
    if let Some(open) = open {
        let salt = chain::unhex(&open.salt).ok_or("a salt is not 32 bytes")?;
        let part = record::take(event, &open.fields).ok_or("a personal field is missing")?;
        if chain::commit(&salt, &part).map_err(|error| error.to_string())? != seal {
            return Err("its personal fields are not what was sealed".to_owned());
        }
    }
    Ok(Some(seal))
}

fn is_end(line: &[u8]) -> bool {
    serde_json::from_slice::<Value>(line).is_ok_and(|value| value.get("rosterAuditExportEnd").is_some())
}

/// A line that is written in the one way.
fn parse<T: serde::de::DeserializeOwned>(line: &[u8]) -> Result<T, Refusal> {
    let value: Value = serde_json::from_slice(line).map_err(|error| format!("not JSON: {error}"))?;
    let canonical = chain::canonical(&value).map_err(|error| error.to_string())?;
    if line.strip_suffix(b"\n") != Some(&canonical) {
        return Err("not written as it was exported".to_owned());
    }
    serde_json::from_value(value).map_err(|error| format!("not of an export: {error}"))
}

/// The lines of an export, with their line feeds.
struct Lines<R> {
    from: R,
    number: usize,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let mut limited = std::io::Read::take(&mut self.from, LINE_BYTES_MAX as u64);
        if limited.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(line))
    }
}
