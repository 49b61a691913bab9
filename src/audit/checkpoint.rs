//! Checkpoints: what the service signs of a stream, so that nobody, itself included, can say otherwise later.

use super::{export, note::Signer};
use crate::{
    clock::Timestamp,
    context::Ctx,
    db::Tx,
    error::Result,
    events::{
        self, Change, Stream,
        chain::{self, Hash, hex},
        chains,
    },
    proto::v1 as pb,
};

/// A checkpoint of a stream as far as it is chained.
pub async fn now(ctx: &Ctx, tx: &mut Tx, stream: Stream, signer: &Signer) -> Result<pb::Checkpoint> {
    match chains::end(tx, ctx.tenant_id, stream).await? {
        Some(end) => Ok(sign(stream, end.sequence, &end.hash()?, signer, ctx.now)),
        None => Ok(sign(stream, 0, &chain::beginning(stream), signer, ctx.now)),
    }
}

/// Signs a stream whose turn has come, as far as it is chained, and tells its readers. What was committed and is not chained
/// yet waits for the next checkpoint.
pub async fn publish(ctx: &Ctx, tx: &mut Tx, stream: Stream, signer: &Signer) -> Result<()> {
    let Some(end) = chains::end(tx, ctx.tenant_id, stream).await? else { return Ok(()) };
    if end.sequence == end.signed_sequence {
        return chains::signed(tx, stream, end.sequence, None).await; // nothing but the last checkpoint itself
    }
    let checkpoint = sign(stream, end.sequence, &end.hash()?, signer, ctx.now);
    let data = pb::event::Data::CheckpointSigned(pb::CheckpointSigned { checkpoint: Some(checkpoint) });
    let change = match stream {
        Stream::Organization(id) => Change::in_organization(id, "checkpoint", end.sequence, data),
        Stream::Tenant(id) => Change::in_tenant(id, "checkpoint", end.sequence, data),
    };
    events::append(ctx, tx, vec![change]).await?;
    let reached = tx.ledger.heads().find(|(head, _)| *head == stream).map_or(0, |(_, sequence)| sequence);
    match reached == end.sequence + 1 {
        true => chains::signed(tx, stream, reached, None).await,
        false => chains::signed(tx, stream, end.sequence, Some(ctx.now)).await, // what came in between is not covered
    }
}

fn sign(stream: Stream, sequence: i64, hash: &Hash, signer: &Signer, now: Timestamp) -> pb::Checkpoint {
    let (stream_id, hash) = (stream.to_string(), hex(hash));
    let note = signer.sign(&export::checkpoint(signer.name(), &stream_id, sequence, &hash, &[]));
    let verifier_key = signer.verifier().to_string();
    pb::Checkpoint { stream_id, sequence, hash, note, verifier_key, sign_time: Some(now.into()) }
}
