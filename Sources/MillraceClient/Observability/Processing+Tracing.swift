// Spans around what applications do with records.

extension RecordTracing {
  /// A handler that runs in a span of its record.
  func tracing(_ handler: @escaping RecordHandler) -> RecordHandler {
    { delivery in try await processing(delivery.record) { try await handler(delivery) } }
  }
}

extension Consumer {
  /// Runs `body` in a span for the processing of a record: a child of the span that the record was sent in, described as
  /// OpenTelemetry's conventions for messaging say. Without a tracer it just runs it. ``RecordWorker`` and ``ShareWorker``
  /// do this by themselves.
  ///
  /// ```swift
  /// for try await record in consumer.records {
  ///   try await consumer.withSpan(processing: record) { try await bill(record) }
  /// }
  /// ```
  public func withSpan<Value>(
    processing record: ConsumerRecord, isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> Value
  ) async rethrows -> Value {
    guard let tracing else { return try await body() }
    return try await tracing.processing(record, body)
  }
}

extension ShareConsumer {
  /// Runs `body` in a span for the processing of a record: see ``Consumer/withSpan(processing:isolation:_:)``.
  public func withSpan<Value>(
    processing record: ShareRecord, isolation: isolated (any Actor)? = #isolation,
    _ body: () async throws -> Value
  ) async rethrows -> Value {
    guard let tracing else { return try await body() }
    return try await tracing.processing(record.record, body)
  }
}
