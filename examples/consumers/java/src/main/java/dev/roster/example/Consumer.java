package dev.roster.example;

import static io.grpc.Metadata.ASCII_STRING_MARSHALLER;

import dev.roster.v1.*;
import io.grpc.*;
import io.grpc.stub.MetadataUtils;
import java.nio.file.*;
import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/** Follows Roster's events: each is applied once, in the order of its stream. How and why: ../README.md. */
public final class Consumer {
    private static final Map<String, String> ENV = System.getenv();
    private final EventServiceGrpc.EventServiceBlockingStub service;
    private final Path journal = Path.of(ENV.getOrDefault("JOURNAL", "applied.log"));
    private final Map<Integer, Long> offsets = new HashMap<>();
    private final Map<String, Long> last = new HashMap<>();
    private String epoch = "";

    /** What was applied is in a journal of one line an event: last sequences and offsets are read back from it. */
    private Consumer(EventServiceGrpc.EventServiceBlockingStub service) throws Exception {
        this.service = service;
        if (Files.exists(journal)) Files.readAllLines(journal).forEach(this::remember);
    }

    private void remember(String line) {
        var part = line.split(" ");
        epoch = part[0];
        offsets.put(Integer.valueOf(part[1]), Long.valueOf(part[2]));
        last.put(epoch + part[3], Long.valueOf(part[4]));
    }

    /** The change itself; in one step with where it stands. A database would do both in one transaction. */
    private void apply(Event event, String stream, int partition, long offset) throws Exception {
        var line = "%s %d %d %s %d %s %s".formatted(event.getStreamEpoch(), partition, offset, stream,
                event.getSequence(), event.getType(), event.getEventId());
        Files.writeString(journal, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        remember(line);
        System.out.println(line);
    }

    /** The rule. The offset is where to go on from once this event is applied. */
    private void take(Event event, int partition, long offset) throws Exception {
        var stream = event.getOrganizationId().isEmpty() ? event.getTenantId() : event.getOrganizationId();
        // A greater epoch is another log, after a restore: all comes again.
        while (event.getStreamEpoch().compareTo(epoch) >= 0) {
            var next = last.getOrDefault(event.getStreamEpoch() + stream, 0L) + 1;
            if (event.getSequence() < next) return; // a duplicate
            if (event.getSequence() == next) {
                apply(event, stream, partition, offset);
                return;
            }
            var missing = fetch(event.getTenantId(), stream, next);
            // What the log has no more, retention has dropped: it is gone for good.
            var first = missing.isEmpty() ? event.getSequence() : missing.get(0).getSequence();
            last.put(event.getStreamEpoch() + stream, Math.min(first, event.getSequence()) - 1);
            for (var each : missing) {
                if (each.getSequence() < event.getSequence()) take(each, partition, offset - 1);
            }
        }
    }

    private List<Event> fetch(String tenant, String stream, long first) {
        var metadata = new Metadata();
        metadata.put(Metadata.Key.of("authorization", ASCII_STRING_MARSHALLER), "Bearer " + ENV.get("ROSTER_KEY"));
        metadata.put(Metadata.Key.of("roster-tenant", ASCII_STRING_MARSHALLER), tenant);
        var request = ListEventsRequest.newBuilder().setStreamId(stream).setAfterSequence(first - 1).setSkipDropped(true);
        var log = service.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata)).withWaitForReady();
        return log.withDeadlineAfter(Duration.ofSeconds(30)).listEvents(request.build()).getEventsList();
    }

    public static void main(String[] arguments) throws Exception {
        var address = ENV.getOrDefault("ROSTER_ADDRESS", "127.0.0.1:7400");
        var channel = Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
        var follower = new Consumer(EventServiceGrpc.newBlockingStub(channel));
        var brokers = ENV.getOrDefault("KAFKA_BROKERS", "127.0.0.1:9092");
        Map<String, Object> settings = Map.of("bootstrap.servers", brokers, "auto.offset.reset", "earliest",
                "enable.auto.commit", false, "isolation.level", "read_committed");
        try (var kafka = new KafkaConsumer<>(settings, new StringDeserializer(), new ByteArrayDeserializer())) {
            var partitions = kafka.partitionsFor(ENV.getOrDefault("KAFKA_TOPIC", "roster.events.v1")).stream()
                    .map(each -> new TopicPartition(each.topic(), each.partition())).toList();
            kafka.assign(partitions);
            partitions.forEach(each -> kafka.seek(each, follower.offsets.getOrDefault(each.partition(), 0L)));
            while (true)
                for (var record : kafka.poll(Duration.ofSeconds(1)))
                    follower.take(Event.parseFrom(record.value()), record.partition(), record.offset() + 1);
        }
    }
}
