// Producers as services of swift-service-lifecycle.

import ServiceLifecycle

extension Producer: Service {
  /// Waits for the graceful shutdown of the service group, then sends what is left and closes the connections.
  ///
  /// Put the producer before the services that use it: a group shuts down in reverse order.
  ///
  /// ```swift
  /// let group = ServiceGroup(services: [producer, intake], gracefulShutdownSignals: [.sigterm], logger: logger)
  /// try await group.run()
  /// ```
  ///
  /// When the task is cancelled, what is left fails.
  public func run() async throws {
    // Being cancelled is the other way to end.
    try? await gracefulShutdown()
    await close()
  }
}

extension TransactionalProducer: Service {
  /// Waits for the graceful shutdown of the service group, lets an open transaction come to its end, begins none after it
  /// and closes the connections.
  ///
  /// Put the producer before the services that use it: a group shuts down in reverse order. When the task is cancelled,
  /// an open transaction is aborted.
  public func run() async throws {
    try? await gracefulShutdown()
    await finish()
    await close()
  }
}
