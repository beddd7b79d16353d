// The administrator's view of a cluster. One file for each thing that is administered; this one has what they share.

import MillraceProtocol
import Synchronization

/// Creates, describes and changes what a Kafka cluster holds: topics, configs, groups and their offsets, records.
///
/// ```swift
/// let admin = try await Admin(ClientConfiguration(bootstrapServers: "localhost:9092"))
/// let results = try await admin.createTopics([NewTopic("orders", partitions: 3)])
/// _ = try results["orders"]?.get()
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

  /// Runs `body` for each item, some at a time.
  func results<Item: Hashable & Sendable, Value: Sendable>(
    of items: some Collection<Item>, _ body: @escaping @Sendable (Item) async throws(KafkaError) -> Value
  ) async -> [Item: Result<Value, KafkaError>] {
    let results = Results<Item, Value>()
    await withTaskGroup(of: Void.self) { group in
      for (index, item) in items.enumerated() {
        if index >= Self.concurrentRequestLimit { await group.next() }
        group.addTask {
          do throws(KafkaError) {
            results.set(.success(try await body(item)), of: item)
          } catch {
            results.set(.failure(error), of: item)
          }
        }
      }
    }
    return results.all
  }

  /// What comes of each item. Tasks write it here rather than return it: Swift 6.3 miscompiles optimised child tasks that
  /// return a tuple with a large `Result`.
  private final class Results<Item: Hashable & Sendable, Value: Sendable>: Sendable {
    private let values = Mutex<[Item: Result<Value, KafkaError>]>([:])

    func set(_ result: Result<Value, KafkaError>, of item: Item) { values.withLock { $0[item] = result } }
    var all: [Item: Result<Value, KafkaError>] { values.withLock { $0 } }
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
