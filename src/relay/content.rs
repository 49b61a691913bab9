//! What a topic gets of each row of the log.

use super::{
    encoding::Codec,
    feed::Feed,
    record::{Message, headers, key},
    state,
};
use crate::{
    config::Kafka,
    db::Db,
    error::{Error, Result},
    events::{Personal as _, Record},
    proto::v1 as pb,
};

/// Makes the records of a topic.
#[derive(Debug)]
pub struct Content {
    pub(super) feed: Feed,
    pub(super) codec: Codec,
    pub(super) stream_epoch: String,
    pub(super) omits_personal: bool,
    /// How many partitions the topic has.
    pub(super) partitions: i32,
}

impl Content {
    /// For a topic with so many partitions.
    pub fn new(feed: Feed, kafka: &Kafka, stream_epoch: String, partitions: i32) -> Self {
        let codec = Codec::new(feed, kafka);
        Self { feed, codec, stream_epoch, omits_personal: kafka.omits_personal, partitions }
    }

    /// The records of one row, in order: of states it may be none.
    pub async fn messages(&self, db: &Db, record: Record) -> Result<Vec<Message>> {
        match self.feed {
            Feed::Events => Ok(vec![self.event(record)?]),
            Feed::State => state::messages(self, db, record).await,
        }
    }

    /// An event as it is published, and its bytes.
    pub(super) fn published(&self, record: Record) -> Result<(pb::Event, Vec<u8>)> {
        let mut value = record.envelope(&self.stream_epoch);
        let mut event = <pb::Event as prost::Message>::decode(&*value).map_err(Error::internal)?;
        if self.omits_personal && event.take_personal().is_some() {
            value = prost::Message::encode_to_vec(&event);
        }
        Ok((event, value))
    }

    fn event(&self, record: Record) -> Result<Message> {
        let (event, value) = self.published(record)?;
        let subject = event.subject.as_ref().map(|subject| subject.id.as_str()).unwrap_or_default();
        let headers = headers(&event, &self.codec, (&event.event_id, subject), self.omits_personal);
        let value = Some(self.codec.encode(value)?);
        Ok(Message { key: key(&event).to_owned(), partition: None, value, headers })
    }
}
