"""Follows Roster's events: each is applied once, in the order of its stream. How and why: ../README.md."""

import os
import signal
import sys
from collections import defaultdict

import grpc
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from roster.v1.event_pb2 import Event
from roster.v1.event_service_pb2 import ListEventsRequest
from roster.v1.event_service_pb2_grpc import EventServiceStub


class Follower:
    """What was applied, in a journal of one line an event: the last sequences and the offsets are read back from it."""

    def __init__(self, journal, service, key):
        self.service, self.key = service, key
        self.epoch, self.last, self.offsets = "", defaultdict(int), {}
        self.journal = open(journal, "a+", encoding="utf-8")
        self.journal.seek(0)
        for line in self.journal:
            self.remember(*line.split())

    def remember(self, epoch, partition, offset, stream, sequence, _type, _id):
        self.epoch = epoch
        self.offsets[int(partition)] = int(offset)
        self.last[epoch, stream] = int(sequence)

    def apply(self, event, stream, partition, offset):
        """The change itself; in one step with where it stands. A database would do both in one transaction."""
        entry = (event.stream_epoch, partition, offset, stream, event.sequence, event.type, event.event_id)
        line = " ".join(map(str, entry))
        self.journal.write(line + "\n")
        self.journal.flush()
        self.remember(*line.split())
        print(line, flush=True)

    def take(self, event, partition, offset):
        """The rule. The offset is where to go on from once this event is applied."""
        stream = event.organization_id or event.tenant_id
        while event.stream_epoch >= self.epoch:  # a greater one is another log, after a restore: all comes again
            last = self.last[event.stream_epoch, stream]
            if event.sequence <= last:
                return  # a duplicate
            if event.sequence == last + 1:
                return self.apply(event, stream, partition, offset)
            missing = self.fetch(event, stream, last)
            # What the log has no more, retention has dropped: it is gone for good.
            self.last[event.stream_epoch, stream] = (missing or [event])[0].sequence - 1
            for each in missing:
                self.take(each, partition, offset - 1)  # the record itself is still to come

    def fetch(self, event, stream, last):
        request = ListEventsRequest(stream_id=stream, after_sequence=last, skip_dropped=True)
        metadata = (("authorization", f"Bearer {self.key}"), ("roster-tenant", event.tenant_id))
        events = self.service.ListEvents(request, metadata=metadata, timeout=30, wait_for_ready=True).events
        return [each for each in events if each.sequence < event.sequence]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    topic = os.environ.get("KAFKA_TOPIC", "roster.events.v1")
    channel = grpc.insecure_channel(os.environ.get("ROSTER_ADDRESS", "127.0.0.1:7400"))
    follower = Follower(os.environ.get("JOURNAL", "applied.log"), EventServiceStub(channel), os.environ["ROSTER_KEY"])
    consumer = Consumer({
        "bootstrap.servers": os.environ.get("KAFKA_BROKERS", "127.0.0.1:9092"),
        "group.id": "roster-consumer",  # librdkafka wants one: nothing is committed, the journal has the offsets
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
    })
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    start = follower.offsets.get
    consumer.assign([TopicPartition(topic, each, start(each, OFFSET_BEGINNING)) for each in partitions])
    try:
        while True:
            for record in consumer.consume(500, timeout=1):
                if record.error():
                    raise KafkaException(record.error())
                follower.take(Event.FromString(record.value()), record.partition(), record.offset() + 1)
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
