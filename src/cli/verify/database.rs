//! The database's side: its log and its state, from one snapshot.

use super::{report::Report, trace::Trace};
use crate::{
    db::Tx,
    error::Result,
    events::{Batches, Stream, horizon, store},
    rebuild,
};

/// How many events are read at once.
const BATCH_MAX: i64 = 5_000;

/// An event of the log that the topic has not.
struct Absent {
    stream: Stream,
    sequence: i64,
    position: i64,
}

/// Compares the topic with the log up to the mark, and, where nothing is pending, with the state.
pub async fn compare(tx: &mut Tx, mut trace: Trace, mark: i64, report: &mut Report) -> Result<()> {
    let absent = compare_log(tx, &mut trace).await?;
    let mut pending = store::unnumbered(tx).await?.unsigned_abs();
    // What is missing below the last of its stream is a gap, and told as such.
    for Absent { stream, sequence, position } in absent.into_iter().filter(|it| it.sequence > trace.last(it.stream)) {
        if position > mark {
            pending += 1;
        } else {
            report.lost.add(format_args!("{stream} {sequence}: acknowledged at position {position}"));
        }
    }
    (report.acknowledged, report.pending) = (Some(mark), Some(pending));
    let fold = report.take_trace(trace);
    if pending == 0 {
        report.state = Some(rebuild::compare(tx, fold).await?);
    }
    Ok(())
}

async fn compare_log(tx: &mut Tx, trace: &mut Trace) -> Result<Vec<Absent>> {
    let (_, stream_epoch) = store::head(tx).await?;
    let stream_epoch = stream_epoch.to_string();
    let (mut absent, mut after, mut batches) = (Vec::new(), 0, Batches::of(BATCH_MAX));
    loop {
        let records = batches.after(tx, after).await?;
        let Some(last) = records.last() else { break };
        after = last.position.unwrap_or(i64::MAX);
        for record in records {
            let (stream, sequence) = (record.stream(), record.sequence);
            let position = record.position.unwrap_or(0);
            if !trace.compare(stream, record, &stream_epoch) {
                absent.push(Absent { stream, sequence, position });
            }
        }
    }
    let hidden = horizon::everywhere(tx).await?;
    hidden.iter().for_each(|(stream, sequence)| trace.cut_off(*stream, *sequence));
    absent.retain(|it| hidden.get(&it.stream).is_none_or(|hidden| it.sequence > *hidden));
    trace.note_unknown(store::dropped_position(tx).await?);
    Ok(absent)
}
