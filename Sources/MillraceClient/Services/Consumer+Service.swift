// Consumers as services of swift-service-lifecycle, and what ends reading from them at a graceful shutdown.
//
// A group shuts its services down in reverse order, each when the one after it has ended. So the consumer comes first,
// and who reads from it stops by itself: that is what `cancelOnGracefulShutdown` is for. It has the name of the package's
// own function for sequences, and replaces it: that one asks for the next record in another task.

import NIOCore
import ServiceLifecycle

extension Consumer: Service {
  /// Waits for the graceful shutdown of the service group; hands out nothing more, waits for the application to come back
  /// from what it has, commits if that happens periodically, leaves the group and closes the connections.
  ///
  /// Put the consumer before the services that read from it, and let those stop reading:
  ///
  /// ```swift
  /// struct Billing: Service {
  ///   let consumer: Consumer
  ///
  ///   func run() async throws {
  ///     try await consumer.subscribe(to: ["orders"])
  ///     for try await record in consumer.records.cancelOnGracefulShutdown() { try await bill(record) }
  ///   }
  /// }
  ///
  /// let group = ServiceGroup(
  ///   services: [consumer, Billing(consumer: consumer)], gracefulShutdownSignals: [.sigterm], logger: logger)
  /// try await group.run()
  /// ```
  ///
  /// An application that does not come back is waited for as long as ``ConsumerConfiguration/maxPollInterval``. When the
  /// task is cancelled, it is not waited for at all.
  public func run() async throws {
    // Being cancelled is the other way to end.
    try? await gracefulShutdown()
    try? await fetcher.endReading(within: configuration.maxPollInterval)
    // Beside the task, which may be cancelled: the group has to hear of it all the same.
    await Task { await self.close() }.value
  }
}

extension ShareConsumer: Service {
  /// Waits for the graceful shutdown of the service group; hands out nothing more, waits for the application to come back
  /// from the record that it has, sends the acknowledgements, releases what is left, leaves the group and closes the
  /// connections.
  ///
  /// Put the consumer before the services that read from it, and let those read from
  /// ``ShareRecords/cancelOnGracefulShutdown()``: see ``Consumer/run()``.
  public func run() async throws {
    try? await gracefulShutdown()
    try? await fetcher.endReading(within: fetcher.configuration.maxPollInterval)
    await Task { await self.close() }.value
  }
}

extension ConsumerBatches {
  /// The same batches until the service that iterates is shut down gracefully: no batch is handed out after that.
  public func cancelOnGracefulShutdown() -> ConsumerBatches {
    ConsumerBatches(consumer: consumer, endsOnGracefulShutdown: true)
  }
}

extension ConsumerRecords {
  /// The same records until the service that iterates is shut down gracefully: no record is handed out after that.
  public func cancelOnGracefulShutdown() -> ConsumerRecords {
    ConsumerRecords(consumer: consumer, endsOnGracefulShutdown: true)
  }
}

extension ShareRecords {
  /// The same records until the service that iterates is shut down gracefully: no record is handed out after that.
  public func cancelOnGracefulShutdown() -> ShareRecords {
    ShareRecords(consumer: consumer, endsOnGracefulShutdown: true)
  }
}

extension Deferred<Void> {
  /// Waits for the value, or if that is wanted for the graceful shutdown of the service that waits.
  func value(orGracefulShutdown endsOnGracefulShutdown: Bool) async throws(KafkaError) {
    guard endsOnGracefulShutdown else { return try await value() }
    let result = await withGracefulShutdownHandler { () async -> Result<Void, KafkaError> in
      do throws(KafkaError) {
        return .success(try await value())
      } catch {
        return .failure(error)
      }
    } onGracefulShutdown: {
      self.fulfil(.success(()))
    }
    try result.get()
  }
}
