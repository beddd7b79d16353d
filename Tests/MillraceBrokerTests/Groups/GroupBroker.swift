// A broker for group tests: small, quick to rebalance, on a disk that can make trouble, and started again at will.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceBroker

final class GroupBroker {
  let disk = TestDisk()
  private let settings: [String: String]
  private let clock: any BrokerClock
  private let directory = TemporaryDirectory()
  private var current: TestBroker
  private var isStopped = false

  init(_ settings: [String: String] = [:], clock: any BrokerClock = SystemClock()) throws {
    self.clock = clock
    self.settings = settings.merging([
      "group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4", "num.partitions": "2",
    ]) { given, _ in given }
    current = try TestBroker(self.settings, in: directory, on: disk, flushPolicy: .fileByFile, clock: clock)
  }

  deinit { if !isStopped { current.stop() } }

  var broker: Broker { current.broker }

  func send<R: Request>(
    _ request: R, version: Int16? = nil, on connection: ConnectionInfo? = nil
  ) async throws -> R.Response {
    try await current.send(request, version: version, on: connection)
  }

  func begin<R: Request>(
    _ request: R, version: Int16? = nil, on connection: ConnectionInfo? = nil
  ) throws -> PendingAnswer<R> {
    try current.begin(request, version: version, on: connection)
  }

  func stop() {
    isStopped = true
    current.stop()
  }

  /// After `stop`.
  func startAgain() throws {
    current = try TestBroker(settings, in: directory, on: disk, flushPolicy: .fileByFile, clock: clock)
    isStopped = false
  }

  /// Ends as `kill -9` does, and starts again.
  func crashAndStart() throws {
    current.crash()
    try startAgain()
  }

  func restart() throws {
    stop()
    try startAgain()
  }

  /// A topic as the first Metadata request makes it.
  @discardableResult
  func makeTopic(_ name: String) async throws -> Topic {
    let response = try await send(MetadataRequest(topics: [.init(name: name)], allowAutoTopicCreation: true))
    #expect(response.topics[0].errorCode.code == .none)
    return try #require(broker.topics.topic(named: name))
  }

  func deleteTopic(_ name: String) async throws {
    let response = try await send(DeleteTopicsRequest(topics: [.init(name: name)]))
    #expect(response.responses[0].errorCode.code == .none)
  }
}
