// Workers as services of swift-service-lifecycle.

import ServiceLifecycle

extension RecordWorker {
  /// This worker with its topics and its handler, for a service group.
  ///
  /// ```swift
  /// let billing = RecordWorker(configuration).service(["orders"]) { delivery in try await bill(delivery.value) }
  /// let group = ServiceGroup(services: [broker, billing], gracefulShutdownSignals: [.sigterm], logger: logger)
  /// try await group.run()
  /// ```
  ///
  /// At the graceful shutdown of the group it takes nothing new, lets the handlers that run come to an end for
  /// ``WorkerConfiguration/grace``, commits what is done and leaves its consumer group: whoever goes on there begins with
  /// the first record that was not processed.
  public func service(_ topics: [String], _ handler: @escaping RecordHandler) -> some Service {
    ClosureService { try await run(topics, handler) }
  }
}

extension ShareWorker {
  /// This worker with its topics and its handler, for a service group.
  ///
  /// At the graceful shutdown of the group it takes nothing new, lets the handlers that run come to an end for
  /// ``ShareWorkerConfiguration/grace``, acknowledges what is done, releases the rest and leaves its share group. For an
  /// example see ``RecordWorker/service(_:_:)``.
  public func service(_ topics: [String], _ handler: @escaping RecordHandler) -> some Service {
    ClosureService { try await run(topics, handler) }
  }
}

extension Consumer {
  /// Processes the records of topics as a member of a group, until the task is cancelled or its service is shut down:
  /// with retries, dead letters, concurrency and commits as the configuration says. The same as a ``RecordWorker``.
  ///
  /// ```swift
  /// var configuration = WorkerConfiguration(ConsumerConfiguration(client, groupId: "billing"))
  /// configuration.concurrency = 8
  /// try await Consumer.process(["orders"], with: configuration) { delivery in
  ///   try await bill(delivery.value)
  /// }
  /// ```
  ///
  /// - Throws: as ``RecordWorker/run(_:_:)``.
  @discardableResult
  public static func process(
    _ topics: [String], with configuration: WorkerConfiguration, _ handler: @escaping RecordHandler
  ) async throws -> WorkerSummary {
    try await RecordWorker(configuration).run(topics, handler)
  }
}
