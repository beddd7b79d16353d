// What the snippets' tests need around them: somebody who listens to what they print, and who ends what never ends.
import Foundation
import Logging
import MillraceClient
import MillraceTesting
import Synchronization
import Testing

/// What a snippet has said so far. Tests give a snippet a `print` of its own that ends here.
final class Said: Sendable {
  private let texts = Mutex<[String]>([])

  func add(_ text: String) { texts.withLock { $0.append(text) } }
  var all: [String] { texts.withLock { $0 } }
  var count: Int { all.count }
}

let quiet = Logger(label: "documentation", factory: { _ in SwiftLogNoOpLogHandler() })

/// Members of share groups get their partitions with a heartbeat, which is every five seconds unless somebody says so.
let quickShareGroups = ["group.share.min.heartbeat.interval.ms": "50", "group.share.heartbeat.interval.ms": "50"]

/// How many records a topic of one partition has; none while it does not exist.
func recordCount(of topic: String, _ client: ClientConfiguration) async throws -> Int64 {
  let admin = try await Admin(client)
  let end = try await admin.listOffsets([TopicPartition(topic, 0): .latest])
  await admin.close()
  guard case .success(let info)? = end[TopicPartition(topic, 0)] else { return 0 }
  return info.offset
}

/// Long enough for a machine that is busy: what is waited for comes, or the test has found something.
private let patience = Duration.seconds(240)

/// Runs what does not end by itself until `isDone`, and then cancels it.
func run(
  _ body: @escaping @Sendable () async throws -> Void, until isDone: @Sendable () async throws -> Bool
) async throws {
  let ended = Said()
  let running = Task {
    defer { ended.add("") }
    try await body()
  }
  let wasDone = try await eventually(within: patience) {
    if ended.count > 0 { return true }
    return try await isDone()
  }
  running.cancel()
  do { try await running.value } catch {
    // That is how it ends.
    guard (error as? KafkaError)?.code == .cancelled || error is CancellationError else { throw error }
  }
  #expect(wasDone)
  let isDoneAfterAll = try await isDone()
  #expect(isDoneAfterAll, "the snippet ended too early")
}
