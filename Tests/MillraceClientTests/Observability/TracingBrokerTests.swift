// Spans around sending and processing, and the context that goes from one to the other in the headers of records.

import InMemoryTracing
import NIOCore
import Testing
import Tracing

@testable import MillraceClient

@Suite(.everyTransport) struct TracingBrokerTests {
  private func text(_ span: FinishedInMemorySpan, _ key: String) -> String? {
    guard case .string(let text)? = span.attributes[key]?.toSpanAttribute() else { return nil }
    return text
  }

  private func number(_ span: FinishedInMemorySpan, _ key: String) -> Int64? {
    switch span.attributes[key]?.toSpanAttribute() {
    case .int64(let number): number
    case .int32(let number): Int64(number)
    default: nil
    }
  }

  private func reader(_ cluster: TestCluster) -> ConsumerConfiguration {
    var configuration = ConsumerConfiguration(cluster.client, groupId: "g")
    configuration.autoOffsetReset = .earliest
    return configuration
  }

  /// A worker that tells the trace that its handler runs in.
  private func working(
    _ consumer: ConsumerConfiguration, _ tracer: InMemoryTracer, _ handled: Deferred<String?>
  ) -> Task<WorkerSummary, any Error> {
    Task {
      try await RecordWorker(WorkerConfiguration(consumer)).run(["t"]) { _ in
        let trace = tracer.withSpan("inside") { $0.context.inMemorySpanContext?.traceID }
        handled.fulfil(.success(trace))
      }
    }
  }

  @Test func `a handler runs in a span that is a child of the producer's`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 3)
      let tracer = InMemoryTracer()
      let handled = Deferred<String?>()
      var traceInHandler: String?
      try await withTracer(tracer) {
        let producer = try await Producer(ProducerConfiguration(cluster.client))
        try await tracer.withSpan("request") { _ in
          _ = try await producer.send(
            ProducerRecord(
              topic: "t", partition: 2, key: "k", value: "v",
              headers: [RecordHeader(key: InMemoryTracer.traceIDKey, value: "of before")]))
        }
        await producer.close()
        let worker = working(reader(cluster), tracer, handled)
        traceInHandler = try await handled.value()
        #expect(try await eventually(within: .seconds(60)) { tracer.activeSpans.isEmpty })
        worker.cancel()
        _ = try await worker.value
      }
      let spans = Dictionary(grouping: tracer.finishedSpans, by: \.operationName).compactMapValues(\.first)
      let request = try #require(spans["request"])
      let send = try #require(spans["send t"])
      let process = try #require(spans["process t"])
      let inside = try #require(spans["inside"])
      #expect(Set(spans.values.map(\.traceID)) == [request.traceID])
      #expect(traceInHandler == request.traceID)
      #expect(send.parentSpanID == request.spanID)
      #expect(process.parentSpanID == send.spanID)
      #expect(inside.parentSpanID == process.spanID)

      #expect(send.kind == .producer && process.kind == .consumer)
      for (span, operation) in [(send, "send"), (process, "process")] {
        #expect(text(span, "messaging.system") == "kafka")
        #expect(text(span, "messaging.operation.name") == operation)
        #expect(text(span, "messaging.operation.type") == operation)
        #expect(text(span, "messaging.destination.name") == "t")
        #expect(text(span, "messaging.destination.partition.id") == "2")
        #expect(text(span, "messaging.kafka.message.key") == "k")
        #expect(text(span, "messaging.client.id") == "millrace")
        #expect(number(span, "messaging.kafka.offset") == 0)
        #expect(span.attributes["messaging.kafka.message.tombstone"] == nil)
      }
      #expect(text(process, "messaging.consumer.group.name") == "g")

      let headers = try #require(try await cluster.contents(of: "t")[2]?.first?.headers)
      #expect(headers.map(\.key).sorted() == [InMemoryTracer.spanIDKey, InMemoryTracer.traceIDKey].sorted())
      #expect(headers.first { $0.key == InMemoryTracer.traceIDKey }?.value == ByteBuffer(string: request.traceID))
    }
  }

  @Test func `what is enqueued is traced as created, and a loop of the application's own as processing`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let tracer = InMemoryTracer()
      let (producer, consumer) = try await withTracer(tracer) {
        var configuration = reader(cluster)
        configuration.stopAtEnd = true
        return (
          try await Producer(ProducerConfiguration(cluster.client)), try await Consumer(configuration)
        )
      }
      try await producer.enqueue(ProducerRecord(topic: "t", key: ByteBuffer(string: "k"), value: nil))
      await producer.close()
      struct Refused: Error {}
      try await consumer.assign(topics: ["t"], from: .earliest)
      for try await record in consumer.records {
        await #expect(throws: Refused.self) {
          try await consumer.withSpan(processing: record) { throw Refused() }
        }
      }
      await consumer.close()
      let spans = tracer.finishedSpans
      #expect(spans.map(\.operationName) == ["create t", "process t"])
      let (create, process) = (spans[0], spans[1])
      #expect(create.kind == .producer && text(create, "messaging.operation.type") == "create")
      #expect(create.attributes["messaging.kafka.message.tombstone"] != nil)
      #expect(process.parentSpanID == create.spanID && process.traceID == create.traceID)
      #expect(process.errors.count == 1 && process.status?.code == .error)
      #expect(text(process, "error.type")?.hasSuffix("Refused") == true)
    }
  }

  @Test func `a record that cannot be sent is told in its span`() async throws {
    try await TestCluster.run { cluster in
      let tracer = InMemoryTracer()
      let producer = try await withTracer(tracer) { try await Producer(ProducerConfiguration(cluster.client)) }
      await producer.close()
      await #expect(throws: KafkaError.self) { try await producer.send(ProducerRecord(topic: "t", value: "x")) }
      let span = try #require(tracer.finishedSpans.first)
      #expect(span.status?.code == .error && text(span, "error.type") == "closed")
    }
  }

  @Test func `a dead letter keeps the context of the trace that it comes from`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let tracer = InMemoryTracer()
      try await withTracer(tracer) {
        let producer = try await Producer(ProducerConfiguration(cluster.client))
        try await producer.send(ProducerRecord(topic: "t", value: "bad"))
        await producer.close()
        var configuration = WorkerConfiguration(reader(cluster))
        let isWritten = Deferred<Void>()
        configuration.onEvent = { if case .deadLettered = $0 { isWritten.fulfil(.success(())) } }
        let worker = Task { [configuration] in
          try await RecordWorker(configuration).run(["t"]) { _ in
            throw HandlerFailure(.reject, exceptionClass: "Bad", message: "bad")
          }
        }
        try await isWritten.value()
        worker.cancel()
        _ = try await worker.value
      }
      let sent = try #require(tracer.finishedSpans.first { $0.operationName == "send t" })
      let headers = try #require(try await cluster.contents(of: "t-dlt")[0]?.first?.headers)
      #expect(headers.first { $0.key == InMemoryTracer.spanIDKey }?.value == ByteBuffer(string: sent.spanID))
      #expect(!tracer.finishedSpans.contains { $0.operationName == "send t-dlt" })
    }
  }
}

@Suite struct RecordHeaderCarrierTests {
  @Test func `what is injected replaces what was there, and the last counts`() {
    var headers = [
      RecordHeader(key: "traceparent", value: "old"), RecordHeader(key: "a", value: "b"),
      RecordHeader(key: "traceparent", value: "older"),
    ]
    #expect(RecordHeaderExtractor().extract(key: "traceparent", from: headers) == "older")
    RecordHeaderInjector().inject("new", forKey: "traceparent", into: &headers)
    #expect(headers == [RecordHeader(key: "a", value: "b"), RecordHeader(key: "traceparent", value: "new")])
    #expect(RecordHeaderExtractor().extract(key: "traceparent", from: headers) == "new")
    #expect(RecordHeaderExtractor().extract(key: "tracestate", from: headers) == nil)
    let odd = [RecordHeader(key: "traceparent", value: ByteBuffer(bytes: [0xFF]))]
    #expect(RecordHeaderExtractor().extract(key: "traceparent", from: odd) == nil)
  }
}
