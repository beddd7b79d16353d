// Spans for records with swift-distributed-tracing, named and described as OpenTelemetry's conventions for messaging and
// for Kafka say. The context travels in the headers of records, in the format of the tracer in use: mostly W3C's
// `traceparent`. When nobody has bootstrapped a tracer, there is none of this.
//
//    create orders / send orders  ── headers ──▶  process orders
//    (producer)                                   (consumer, a child of the producer's span)

import NIOCore
import Tracing

struct RecordTracing: Sendable {
  private let tracer: any Tracer
  private let clientId: String
  private let group: String?

  /// Nil when nobody traces.
  init?(_ configuration: ClientConfiguration, group: String? = nil) {
    tracer = InstrumentationSystem.tracer
    guard !(tracer is NoOpTracer) else { return nil }
    clientId = configuration.clientId
    self.group = group
  }

  enum Operation: String {
    /// A record is handed over, to be sent with others.
    case create
    /// A record is sent and its acknowledgement waited for.
    case send
    case process

    fileprivate var kind: SpanKind { self == .process ? .consumer : .producer }
  }

  // MARK: Producing

  /// Runs `body` with the record in whose headers the context of its span is.
  func producing<Value>(
    _ record: ProducerRecord, _ operation: Operation,
    _ body: (ProducerRecord, any Span) async throws(KafkaError) -> Value
  ) async throws(KafkaError) -> Value {
    let span = start(operation, on: record.topic, in: .current ?? .topLevel)
    defer { span.end() }
    span.describe(key: record.key, hasValue: record.value != nil)
    if let partition = record.partition { span.describe(partition: partition) }
    var record = record
    tracer.inject(span.context, into: &record.headers, using: RecordHeaderInjector())
    do throws(KafkaError) {
      return try await body(record, span)
    } catch {
      span.fail(error)
      throw error
    }
  }

  // MARK: Processing

  /// Runs `body` in a span for the processing of a record, as a child of the span that the record was sent in.
  func processing<Value>(
    _ record: ConsumerRecord, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> Value
  ) async rethrows -> Value {
    var context = ServiceContext.current ?? .topLevel
    tracer.extract(record.headers, into: &context, using: RecordHeaderExtractor())
    let span = start(.process, on: record.topic, in: context)
    defer { span.end() }
    span.describe(key: record.key, hasValue: record.valueByteCount > 0 || record.value != nil)
    span.describe(partition: record.partition, offset: record.offset)
    if let group { span.attributes["messaging.consumer.group.name"] = group }
    do {
      return try await ServiceContext.withValue(span.context) { try await body() }
    } catch {
      span.fail(error)
      throw error
    }
  }

  private func start(_ operation: Operation, on topic: String, in context: ServiceContext) -> any Span {
    let span = tracer.startSpan("\(operation.rawValue) \(topic)", context: context, ofKind: operation.kind)
    span.updateAttributes { attributes in
      attributes["messaging.system"] = "kafka"
      attributes["messaging.operation.name"] = operation.rawValue
      attributes["messaging.operation.type"] = operation.rawValue
      attributes["messaging.destination.name"] = topic
      attributes["messaging.client.id"] = clientId
    }
    return span
  }
}

extension Span {
  /// The key only if it is text; a record without a value is a tombstone.
  fileprivate func describe(key: ByteBuffer?, hasValue: Bool) {
    if let key, let text = String(validating: key.readableBytesView, as: UTF8.self) {
      attributes["messaging.kafka.message.key"] = text
    }
    if !hasValue { attributes["messaging.kafka.message.tombstone"] = true }
  }

  func describe(partition: Int32, offset: Int64 = -1) {
    attributes["messaging.destination.partition.id"] = "\(partition)"
    if offset >= 0 { attributes["messaging.kafka.offset"] = offset }
  }

  fileprivate func fail(_ error: any Error) {
    recordError(error)
    setStatus(SpanStatus(code: .error, message: String(describing: error)))
    let kafka = error as? KafkaError
    attributes["error.type"] =
      kafka?.brokerCode?.name ?? kafka?.code.description ?? String(reflecting: type(of: error))
  }
}

/// Writes what a tracer says of a context into headers, in place of what was said before.
struct RecordHeaderInjector: Injector {
  func inject(_ value: String, forKey key: String, into headers: inout [RecordHeader]) {
    headers.removeAll { $0.key == key }
    headers.append(RecordHeader(key: key, value: value))
  }
}

/// Reads it again. Of several headers with a name the last counts, as with Kafka's `lastHeader`.
struct RecordHeaderExtractor: Extractor {
  func extract(key: String, from headers: [RecordHeader]) -> String? {
    headers.last { $0.key == key }?.value.flatMap { String(validating: $0.readableBytesView, as: UTF8.self) }
  }
}
