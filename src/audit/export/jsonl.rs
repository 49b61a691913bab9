//! The provable export: JSON lines, each a CloudEvent with its proof, between a header and a signed end.

use sha2::{Digest as _, Sha256};

use super::{End, Header, statement};
use crate::{
    audit::{note::Signer, record},
    error::Result,
    events::{
        Stream,
        chain::{self, Hash, hex},
        store::Proven,
    },
    ids::TenantId,
};

/// An export that is being written.
#[derive(Debug)]
pub struct Writer {
    header: Header,
    header_hash: Hash,
    next: i64,
    hash: Hash,
    digest: Sha256,
}

impl Writer {
    /// Begins an export of a stream after a sequence, where its chain is known; answers the header too.
    pub fn begin(
        tenant_id: TenantId,
        stream: Stream,
        stream_epoch: &str,
        after: i64,
        hash: Hash,
    ) -> Result<(Self, Vec<u8>)> {
        let header = Header {
            roster_audit_export: 1,
            tenant: tenant_id.to_string(),
            stream: stream.to_string(),
            stream_epoch: stream_epoch.to_owned(),
            from: after + 1,
            previous_hash: hex(&hash),
        };
        let line = line(&header)?;
        let digest = Sha256::new().chain_update(&line);
        let header_hash = Sha256::digest(&line).into();
        Ok((Self { next: header.from, header, header_hash, hash, digest }, line))
    }

    /// The line of the next event.
    pub fn record(&mut self, proven: &Proven) -> Result<Vec<u8>> {
        let (event, proof) = record::of(proven, &self.hash)?;
        let line = record::line(&event, &proof)?;
        self.digest.update(&line);
        (self.next, self.hash) = (proven.sequence + 1, proven.hash()?);
        Ok(line)
    }

    /// The last line.
    pub fn end(self, signer: &Signer) -> Result<Vec<u8>> {
        let mut end = End {
            roster_audit_export_end: 1,
            events: self.next - self.header.from,
            through: self.next - 1,
            hash: hex(&self.hash),
            digest: hex(&self.digest.finalize()),
            note: String::new(),
        };
        end.note = signer.sign(&statement(signer.name(), &self.header, &self.header_hash, &end));
        line(&end)
    }
}

fn line(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    let value = serde_json::to_value(value).map_err(crate::error::Error::internal)?;
    let mut line = chain::canonical(&value)?;
    line.push(b'\n');
    Ok(line)
}
