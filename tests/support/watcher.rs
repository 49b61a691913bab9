//! Somebody who watches the log.

use std::{collections::BTreeSet, time::Duration};

use prost_reflect::DynamicMessage;
use roster::dynamic;
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;
use tonic::{Status, Streaming, transport::Endpoint};

use super::{Caller, text};

/// How long anything may take that is certain to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a watch brings.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    Event(Value),
    Heartbeat(i64),
}

impl Item {
    /// How far the watch has come with it.
    pub fn position(&self) -> i64 {
        match self {
            Self::Event(event) => number(&event["position"]),
            Self::Heartbeat(position) => *position,
        }
    }

    pub fn event(self) -> Option<Value> {
        match self {
            Self::Event(event) => Some(event),
            Self::Heartbeat(_) => None,
        }
    }
}

/// A number of 64 bits, as JSON has it.
pub fn number(value: &Value) -> i64 {
    text(value).parse().unwrap()
}

/// A watch that is open.
pub struct Watcher(Streaming<DynamicMessage>);

impl Watcher {
    /// Begins one.
    pub async fn open(caller: &Caller, request: Value) -> Self {
        let opened = Self::try_open(caller, request.clone()).await;
        opened.unwrap_or_else(|status| panic!("WatchEvents {request}: {:?} {}", status.code(), status.message()))
    }

    pub async fn try_open(caller: &Caller, request: Value) -> Result<Self, Status> {
        caller.stream("EventService/WatchEvents", request).await.map(Self)
    }

    /// The next that comes.
    pub async fn try_next(&mut self) -> Result<Item, Status> {
        let answer = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something comes").expect("no end")?;
        let answer = dynamic::to_json(&answer).unwrap();
        Ok(match &answer["event"] {
            Value::Null => Item::Heartbeat(number(&answer["heartbeat"]["position"])),
            event => Item::Event(event.clone()),
        })
    }

    pub async fn next(&mut self) -> Item {
        self.try_next().await.unwrap_or_else(|status| panic!("{:?} {}", status.code(), status.message()))
    }

    /// Everything until the watch has come so far.
    pub async fn until(&mut self, position: i64) -> Vec<Item> {
        let mut items = vec![self.next().await];
        while items.last().unwrap().position() < position {
            items.push(self.next().await);
        }
        items
    }

    /// The events until the watch has come so far.
    pub async fn events_until(&mut self, position: i64) -> Vec<Value> {
        self.until(position).await.into_iter().filter_map(Item::event).collect()
    }
}

impl Caller {
    /// The same caller on a connection of their own, on which next to nothing waits unread.
    pub fn with_little_room(&self) -> Self {
        let address = self.address.clone();
        let endpoint = Endpoint::new(address).unwrap().initial_stream_window_size(65_535);
        let mut caller = self.clone();
        caller.client.channel = endpoint.connect_lazy();
        caller
    }

    /// The whole log of the tenant, once it has so many events with a position.
    pub async fn log_with(&self, events: usize) -> Vec<Value> {
        let begin = std::time::Instant::now();
        loop {
            let log = self.list("EventService/ListEvents", json!({"pageSize": 1000}), "events").await;
            if log.len() >= events {
                assert_eq!(log.len(), events);
                return log;
            }
            assert!(begin.elapsed() < PATIENCE, "{} of {events} events", log.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The ids of events.
pub fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| text(&event["eventId"])).collect()
}

/// Whether none is there twice.
pub fn are_unique(events: &[Value]) -> bool {
    ids(events).into_iter().collect::<BTreeSet<_>>().len() == events.len()
}
