//! What was found, for people and for machines.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::trace::Trace;
use crate::{
    config::Kafka,
    rebuild::{Difference, Finding, Fold},
    relay::{Feed, encoding::Codec},
};

/// The result of a verification.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Which topic.
    pub topic: String,
    /// How many partitions it has.
    pub partitions: usize,
    /// How many records were read.
    pub records: u64,
    /// How many different events those are.
    pub events: usize,
    /// Of how many streams.
    pub streams: usize,
    /// Records of an earlier log.
    pub superseded: u64,
    /// Records of an event that was there already.
    pub duplicated: u64,
    /// Events that came after a later one of their stream.
    pub reordered: Finding,
    /// Streams that came whole and in order, behind some of their events that had come too early: the topic was made anew
    /// while it was published to.
    pub began_again: u64,
    /// How the values are written, and how many of them so.
    pub encodings: BTreeMap<String, u64>,
    /// How they are configured to be.
    pub encoding: String,
    /// Events that the topic should have, and has not.
    pub lost: Finding,
    /// Records that are not, or not so, in the database.
    pub phantom: Finding,
    /// Records whose key or headers are wrong.
    pub wrong_headers: Finding,
    /// Up to which position the brokers had acknowledged everything; none without the database.
    pub acknowledged: Option<i64>,
    /// How many events of the log are beyond that, and not in the topic yet; none without the database.
    pub pending: Option<u64>,
    /// The state from the topic against the database's; none where it was not compared, for want of the database or of
    /// pending events.
    pub state: Option<Difference>,
    /// Whether nothing had to be pending.
    pub drained: bool,
    /// Whether no fault was found; where the state was compared too, that is the proof.
    pub faultless: bool,
}

impl Report {
    /// A report on a topic, with nothing in it.
    pub fn new(kafka: &Kafka, drained: bool) -> Self {
        let encoding = Codec::new(Feed::Events, kafka).describe();
        Self { topic: kafka.topic.clone(), encoding, drained, ..Self::default() }
    }

    /// Takes over what the topic showed; answers the state that its events amount to.
    pub fn take_trace(&mut self, trace: Trace) -> Fold {
        (self.events, self.streams) = trace.counts();
        self.lost.put_first(trace.gaps());
        self.records = trace.records;
        self.superseded = trace.superseded;
        self.duplicated = trace.duplicated;
        (self.reordered, self.began_again) = trace.reordered();
        self.encodings = trace.encodings;
        self.phantom = trace.phantom;
        self.wrong_headers = trace.wrong_headers;
        trace.fold
    }

    /// Decides whether there is a fault.
    pub fn judge(&mut self) {
        let faults = self.faults().iter().map(|(_, finding)| finding.count).sum::<u64>();
        let different = self.state.as_ref().map_or(0, |state| state.different.count);
        let undrained = if self.drained { self.pending.unwrap_or(0) } else { 0 };
        self.faultless = faults == 0 && different == 0 && undrained == 0;
    }

    fn faults(&self) -> [(&'static str, &Finding); 4] {
        [
            ("lost", &self.lost),
            ("reordered", &self.reordered),
            ("phantom", &self.phantom),
            ("wrong headers", &self.wrong_headers),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, partitions, records, events, streams, duplicated, .. } = self;
        line(f, "topic", format_args!("{topic}, {partitions} partitions"))?;
        line(f, "records", records)?;
        line(f, "events", format_args!("{events} in {streams} streams"))?;
        if self.superseded > 0 {
            line(f, "superseded", format_args!("{} (of an earlier stream epoch)", self.superseded))?;
        }
        line(f, "duplicated", format_args!("{duplicated} (harmless)"))?;
        if self.began_again > 0 {
            let what = "streams came whole and in order behind some of their events: the topic was made anew while it was \
                        published to (harmless)";
            line(f, "began again", format_args!("{} {what}", self.began_again))?;
        }
        if self.encodings.keys().any(|encoding| *encoding != self.encoding) {
            for (encoding, count) in &self.encodings {
                line(f, "encoding", format_args!("{count} in {encoding}"))?;
            }
            line(f, "", format_args!("configured is {}", self.encoding))?;
        }
        for (label, finding) in self.faults() {
            line(f, label, finding.count)?;
            names(f, finding)?;
        }
        match (self.pending, self.acknowledged) {
            (Some(pending), Some(mark)) => line(f, "pending", format_args!("{pending}, acknowledged up to {mark}"))?,
            _ => line(f, "pending", "not compared with the database")?,
        }
        match &self.state {
            Some(Difference { compared, different, without_personal }) => {
                line(f, "state", format_args!("{compared} compared, {} different", different.count))?;
                if *without_personal {
                    line(f, "", "personal fields were not compared: the topic leaves them out")?;
                }
                names(f, different)?;
            }
            None => line(f, "state", "not compared")?,
        }
        f.write_str(match (self.faultless, &self.state) {
            (true, Some(_)) => "proven: the state rebuilt from the topic alone is the database's\n",
            (true, None) => "no fault found; the state was not compared\n",
            (false, _) => "FAULTY\n",
        })
    }
}

fn line(f: &mut fmt::Formatter<'_>, label: &str, value: impl fmt::Display) -> fmt::Result {
    writeln!(f, "{label:<14} {value}")
}

fn names(f: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    finding.first.iter().try_for_each(|name| line(f, "", name))
}
