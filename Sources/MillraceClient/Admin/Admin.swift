// The administrator's view of a cluster. One file for each thing that is administered; this one has what they share.

import MillraceProtocol

/// Creates, describes and changes what a Kafka cluster holds: topics, configs, groups and their offsets, records.
///
/// ```swift
/// let admin = try await Admin(ClientConfiguration(bootstrapServers: "localhost:9092"))
/// let results = try await admin.createTopics([NewTopic("orders", partitions: 3)])
/// try results["orders"]?.get()
/// await admin.close()
/// ```
///
/// A call about several things answers for each of them: one that fails does not fail the others. A call throws when
/// the cluster cannot be reached or refuses the whole.
///
/// Calls are repeated until `ClientConfiguration.operationTimeout` as long as that may help. They throw an error with
/// code `.cancelled` when the task is cancelled.
public final class Admin: Sendable {
  /// The most requests of one call that are in flight at a time, as one to each broker of a cluster.
  static let concurrentRequestLimit = 16

  let cluster: Cluster

  /// Connects to the cluster.
  ///
  /// - Throws: `KafkaError` with code `.connectionFailed` when no bootstrap server answers.
  public init(_ configuration: ClientConfiguration) async throws(KafkaError) {
    cluster = try await Cluster.connect(configuration)
  }

  /// Closes the connections. Calls that are under way fail.
  public func close() async {
    cluster.close()
  }

  /// How long a broker may take for an operation on the whole cluster, in milliseconds as requests say it.
  var brokerTimeoutMs: Int32 { cluster.configuration.requestTimeout.clampedMilliseconds }

  /// Runs `body` for each item, some at a time, and collects what comes out.
  func forEach<Item: Sendable, Output: Sendable>(
    _ items: some Collection<Item>, _ body: @escaping @Sendable (Item) async -> Output
  ) async -> [Output] {
    await withTaskGroup(of: Output.self) { group in
      var outputs: [Output] = []
      for (index, item) in items.enumerated() {
        if index >= Self.concurrentRequestLimit, let output = await group.next() { outputs.append(output) }
        group.addTask { await body(item) }
      }
      for await output in group { outputs.append(output) }
      return outputs
    }
  }
}

extension Duration {
  /// For a field of milliseconds: at least 0, at most what the field holds.
  var clampedMilliseconds: Int32 {
    let (seconds, attoseconds) = components
    guard seconds >= 0 else { return 0 }
    guard seconds < Int64(Int32.max) / 1000 else { return .max }
    return Int32(seconds * 1000 + attoseconds / 1_000_000_000_000_000)
  }
}

extension Result where Failure == KafkaError {
  /// Success unless there is an error.
  init(_ error: KafkaError?, _ value: @autoclosure () -> Success) {
    self = error.map { .failure($0) } ?? .success(value())
  }
}

extension Result where Success == Void, Failure == KafkaError {
  init(_ error: KafkaError?) {
    self.init(error, ())
  }
}
