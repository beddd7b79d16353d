// Reading several batches at a time, for work that has a price of its own.

extension Consumer {
  /// The next batches, together: waits for the first, and adds those that are there already or come within `linger`.
  ///
  /// For work that costs something however much it is done for, as a transaction does:
  ///
  /// ```swift
  /// while case let batches = try await consumer.nextBatches(upTo: 5_000, linger: .milliseconds(10)), !batches.isEmpty {
  ///   try await producer.withTransaction { transaction in
  ///     for order in batches.joined() { try await transaction.enqueue(invoice(for: order)) }
  ///     try await transaction.commit(of: consumer)
  ///   }
  /// }
  /// ```
  ///
  /// All that is returned counts as handed out, so ``commit()`` and transactions commit all of it. It counts as
  /// processed with the next call. Do not iterate over ``batches`` or ``records`` at the same time.
  ///
  /// In a service of swift-service-lifecycle the loop above ends at the graceful shutdown: a call that waits returns what
  /// it has at once, and the next one nothing.
  ///
  /// - Parameters:
  ///   - maxRecords: nothing is added any more when there are so many records. Batches are not divided, so there can be
  ///     more.
  ///   - linger: how long after the first batch others are waited for; zero takes only what was fetched already.
  /// - Returns: at least one batch, those of a partition in their order; none when the consumer was closed, when the
  ///   service that calls is shut down gracefully, or at the end with ``ConsumerConfiguration/stopAtEnd``.
  /// - Throws: `KafkaError` as iterating does; with code `.cancelled` when the task is cancelled.
  public func nextBatches(upTo maxRecords: Int, linger: Duration = .zero) async throws(KafkaError) -> [RecordBatch] {
    guard let first = try await fetcher.next(endsOnGracefulShutdown: true) else { return [] }
    var batches = [first]
    var recordCount = first.recordCount
    let deadline = ContinuousClock.now + linger
    while recordCount < maxRecords, let batch = try await fetcher.more(until: deadline) {
      batches.append(batch)
      recordCount += batch.recordCount
    }
    return batches
  }
}
