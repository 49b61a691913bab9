// Follows Roster's events: each is applied once, in the order of its stream. How and why: ../README.md.
package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	pb "roster.dev/examples/consumer/roster/v1"
)

// What was applied is in a journal of one line an event: the last sequences and the offsets are read back from it.
var (
	journal = must(os.OpenFile(env("JOURNAL", "applied.log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644))
	plain   = grpc.WithTransportCredentials(insecure.NewCredentials())
	service = pb.NewEventServiceClient(must(grpc.NewClient(env("ROSTER_ADDRESS", "127.0.0.1:7400"), plain)))
	epoch   string
	last    = map[string]int64{} // the last sequence, by epoch and stream
	offsets = map[int64]int64{}  // where to go on, by partition
)

func remember(line string) {
	var stream string
	var partition, offset, sequence int64
	must(fmt.Sscan(line, &epoch, &partition, &offset, &stream, &sequence))
	offsets[partition], last[epoch+stream] = offset, sequence
}

// apply is the change itself; in one step with where it stands. A database would do both in one transaction.
func apply(event *pb.Event, stream string, partition int32, offset int64) {
	line := fmt.Sprintln(event.StreamEpoch, partition, offset, stream, event.Sequence, event.Type, event.EventId)
	must(journal.WriteString(line))
	remember(line)
	fmt.Print(line)
}

// take is the rule. The offset is where to go on from once this event is applied.
func take(event *pb.Event, partition int32, offset int64) {
	stream := cmp.Or(event.OrganizationId, event.TenantId)
	for event.StreamEpoch >= epoch { // a greater one is another log, after a restore: all comes again
		next := last[event.StreamEpoch+stream] + 1
		if event.Sequence == next {
			apply(event, stream, partition, offset)
		}
		if event.Sequence <= next { // applied, or a duplicate
			return
		}
		key := []string{"authorization", "Bearer " + os.Getenv("ROSTER_KEY"), "roster-tenant", event.TenantId}
		ctx := metadata.AppendToOutgoingContext(context.Background(), key...)
		list := &pb.ListEventsRequest{StreamId: stream, AfterSequence: next - 1, SkipDropped: true}
		events := append(must(service.ListEvents(ctx, list)).Events, event)
		// What the log has no more, retention has dropped: it is gone for good.
		last[event.StreamEpoch+stream] = min(events[0].Sequence, event.Sequence) - 1
		for _, missing := range events {
			if missing.Sequence < event.Sequence {
				take(missing, partition, offset-1) // the record itself is still to come
			}
		}
	}
}

func main() {
	topic, brokers := env("KAFKA_TOPIC", "roster.events.v1"), kgo.SeedBrokers(env("KAFKA_BROKERS", "127.0.0.1:9092"))
	for lines := bufio.NewScanner(journal); lines.Scan(); {
		remember(lines.Text())
	}
	kafka := must(kgo.NewClient(brokers, kgo.FetchIsolationLevel(kgo.ReadCommitted())))
	about := kmsg.MetadataRequest{Topics: []kmsg.MetadataRequestTopic{{Topic: &topic}}}
	for _, each := range must(about.RequestWith(context.Background(), kafka)).Topics[0].Partitions {
		start := kgo.NewOffset().At(offsets[int64(each.Partition)]) // one that is gone is the first that is there
		kafka.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {each.Partition: start}})
	}
	for {
		fetches := kafka.PollFetches(context.Background())
		must(0, fetches.Err())
		for _, record := range fetches.Records() {
			var event pb.Event
			must(0, proto.Unmarshal(record.Value, &event))
			take(&event, record.Partition, record.Offset+1)
		}
	}
}

func env(name, other string) string { return cmp.Or(os.Getenv(name), other) }

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
