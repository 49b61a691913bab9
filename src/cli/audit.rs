//! `roster audit`: the key that the log is signed with, exports, and the proof of one.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
};

use tonic::{Request, Streaming};

use super::{Failure, connection::Connection};
use crate::{
    audit::{
        note::Verifier,
        verify::{self, Fault, Kept, NotKept, Proven},
    },
    config::Config,
    proto::v1::{self as pb, audit_service_client::AuditServiceClient},
};

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Print the public half of the key that checkpoints and exports are signed with: what `verify` asks for.
    Key {
        /// Make the key first, at the setting `audit_key_file`; one that is there is kept.
        #[arg(long)]
        make: bool,
    },
    /// Write a stream's events to a file, from a running service.
    Export(Export),
    /// Prove an export, off-line: that nothing in it was changed, left out, put in or moved since it was signed. Exit code
    /// 0: proven; 1: not; 2: it could not be read.
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
pub struct Export {
    /// The organization, or the tenant for its own stream: `org_…`, `tenant_…`.
    stream: String,
    /// Only events after this sequence.
    #[arg(long, value_name = "SEQUENCE", default_value = "0")]
    after: i64,
    /// Only events up to this sequence. 0: all.
    #[arg(long, value_name = "SEQUENCE", default_value = "0")]
    up_to: i64,
    /// How it is written. `json-lines`: with a proof for `verify`; `csv`: a table, which no spreadsheet takes for formulas;
    /// `ocsf`: events of the Open Cybersecurity Schema Framework, one a line.
    #[arg(long, default_value = "json-lines")]
    format: Format,
    /// Which version of OCSF: 1.1.0 to 1.8.0; 1.8.0 where none is given. With `--format ocsf`.
    #[arg(long, value_name = "VERSION", default_value = "", hide_default_value = true)]
    ocsf_version: String,
    /// Where to write; `-` is standard output. A file that is there is not written over.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    JsonLines,
    Csv,
    Ocsf,
}

impl From<Format> for pb::ExportFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::JsonLines => Self::JsonLines,
            Format::Csv => Self::Csv,
            Format::Ocsf => Self::Ocsf,
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The export; `-` is standard input.
    file: PathBuf,
    /// The public key of whoever signed, as `roster audit key` prints it.
    #[arg(long, value_name = "KEY")]
    key: String,
    /// A checkpoint that was kept: a file with its note. The export must be what was signed then.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// The public key of whoever signed that checkpoint, where it is another one than the export's: one of before.
    #[arg(long, value_name = "KEY", requires = "checkpoint")]
    checkpoint_key: Option<String>,
    /// Print one JSON object in place of a sentence.
    #[arg(long)]
    json: bool,
}

pub async fn run(config: &Config, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::Key { make } => show_key(config, make),
        Verb::Export(export) => self::export(config, export).await,
        Verb::Verify(verify) => self::verify(&verify),
    }
}

fn show_key(config: &Config, make: bool) -> Result<u8, Failure> {
    let Some(mut file) = config.audit.key.clone() else {
        return Err("no key is configured: set audit_key_file, such as --audit-key-file audit-key.pem".into());
    };
    file.make = make;
    if !make && !file.path.exists() {
        let path = file.path.display();
        return Err(
            format!("there is no key at {path}: the service makes it there, or `roster audit key --make`").into()
        );
    }
    println!("{}", file.read()?.verifier());
    Ok(0)
}

async fn export(config: &Config, export: Export) -> Result<u8, Failure> {
    let mut client = AuditServiceClient::new(export.connection.open(config).await?);
    let request = pb::ExportEventsRequest {
        stream_id: export.stream,
        after_sequence: export.after,
        up_to_sequence: export.up_to,
        format: pb::ExportFormat::from(export.format).into(),
        ocsf_version: export.ocsf_version,
    };
    let answered = client.export_events(export.connection.sign(Request::new(request))?).await;
    let mut chunks = match answered {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(super::connection::report(&status)),
    };
    if export.output.as_os_str() == "-" {
        return copy(&mut chunks, &mut std::io::stdout().lock()).await;
    }
    let (path, unfinished) = (&export.output, export.output.with_added_extension("part"));
    if path.exists() {
        return Err(format!("{} is there already: choose another name", path.display()).into());
    }
    let file = File::create(&unfinished).map_err(|error| format!("{}: {error}", unfinished.display()))?;
    let code = copy(&mut chunks, &mut BufWriter::new(file)).await;
    match code {
        Ok(0) => std::fs::rename(&unfinished, path)?,
        _ => std::fs::remove_file(&unfinished)?,
    }
    code
}

/// Writes the pieces as they come; answers the exit code.
async fn copy(chunks: &mut Streaming<pb::ExportEventsResponse>, output: &mut impl Write) -> Result<u8, Failure> {
    loop {
        match chunks.message().await {
            Ok(Some(answer)) => output.write_all(&answer.chunk)?,
            Ok(None) => break,
            Err(status) => return Ok(super::connection::report(&status)),
        }
    }
    output.flush()?;
    Ok(0)
}

/// Answers 0 where the export is proven, 1 where it is not, 2 where it cannot be read.
fn verify(verify: &Verify) -> Result<u8, Failure> {
    let proven = match prove(verify) {
        Ok(proven) => proven,
        Err(why) => {
            eprintln!("roster: nothing was verified: {why}");
            return Ok(2);
        }
    };
    match (&proven, verify.json) {
        (Ok(proven), true) => println!("{}", serde_json::json!({"proven": proven})),
        (Err(fault), true) => println!("{}", serde_json::json!({"fault": fault})),
        (Ok(proven), false) => println!("{}", sentence(proven)),
        (Err(fault), false) => println!("NOT PROVEN: {fault}"),
    }
    Ok(u8::from(proven.is_err()))
}

/// Reads what there is to read, and proves the export; fails with what cannot be read, and why.
fn prove(verify: &Verify) -> Result<Result<Proven, Fault>, String> {
    let verifier: Verifier = verify.key.parse().map_err(|why| format!("--key: {why}"))?;
    let of_kept = match &verify.checkpoint_key {
        Some(key) => key.parse().map_err(|why| format!("--checkpoint-key: {why}"))?,
        None => verifier.clone(),
    };
    let mut kept = None;
    if let Some(path) = &verify.checkpoint {
        let note = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        kept = match Kept::open(&note, &of_kept) {
            Ok(kept) => Some(kept),
            Err(NotKept::Other(what)) => return Err(format!("{}: {what}", path.display())),
            Err(NotKept::Unsigned(what)) => {
                let what = format!("{}: {what}: one of another key is opened by --checkpoint-key", path.display());
                return Ok(Err(Fault { line: 0, sequence: None, what }));
            }
        };
    }
    let input: Result<Box<dyn BufRead>, std::io::Error> = match verify.file.as_os_str() == "-" {
        true => Ok(Box::new(std::io::stdin().lock())),
        false => File::open(&verify.file).map(|file| Box::new(BufReader::new(file)) as Box<dyn BufRead>),
    };
    let proven = input.and_then(|input| verify::verify(input, &verifier, kept.as_ref()));
    proven.map_err(|error| format!("{}: {error}", verify.file.display()))
}

fn sentence(Proven { stream, from, through, signed_by }: &Proven) -> String {
    if through < from {
        return format!("proven: an empty export of {stream} after sequence {through}, as {signed_by} signed it");
    }
    format!("proven: the events {from} to {through} of {stream} are those that {signed_by} signed")
}
