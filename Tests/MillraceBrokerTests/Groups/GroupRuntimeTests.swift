import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceBroker

@Suite struct `The group coordinator's runtime` {
  @Test func `a group lives through a restart with its generation and offsets`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    #expect(try await client.findCoordinator().errorCode == 0)
    let (memberId, generation) = try await client.becomeOnlyMember()
    #expect(try await client.commit(42, memberId: memberId, generation: generation) == .none)

    try broker.restart()
    try await eventually { try await client.heartbeat("nobody", 1) != .none }
    #expect(try await client.heartbeat(memberId, generation) == .none)
    #expect(try await client.committed() == 42)
    #expect(try await client.commit(43, memberId: memberId, generation: generation) == .none)
    let described = try await broker.send(DescribeGroupsRequest(groups: ["g"]), version: 6).groups[0]
    #expect(described.groupState == "Stable")
    #expect(described.members[0].clientId == "test")
    #expect(described.members[0].clientHost == "/127.0.0.1")
  }

  @Test func `nothing is told before it is durable, except to heartbeats`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    let (memberId, generation) = try await client.becomeOnlyMember()

    broker.disk.trouble.withLock { $0 = .init(path: "__consumer_offsets", holdsFlushes: true) }
    let commit = try broker.begin(client.commitRequest(5, memberId: memberId, generation: generation), version: 9)
    let fetch = try broker.begin(client.fetchRequest(), version: 9)
    let describe = try broker.begin(DescribeGroupsRequest(groups: ["g"]), version: 6)
    let list = try broker.begin(ListGroupsRequest(), version: 5)
    #expect(try await client.heartbeat(memberId, generation) == .none)
    try await Task.sleep(for: .milliseconds(50))
    #expect(!commit.isAnswered && !fetch.isAnswered && !describe.isAnswered && !list.isAnswered)

    broker.disk.trouble.withLock { $0.holdsFlushes = false }
    #expect(try await commit.answer().topics[0].partitions[0].errorCode == 0)
    #expect(try await fetch.answer().groups[0].topics[0].partitions[0].committedOffset == 5)
    #expect(try await describe.answer().groups[0].groupState == "Stable")
    #expect(try await list.answer().groups.map(\.groupId) == ["g"])
  }

  @Test func `commits do not wait for each other's flush to be ordered`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    broker.disk.trouble.withLock { $0 = .init(path: "__consumer_offsets", holdsFlushes: true) }
    let commits = try (0..<100).map { try broker.begin(client.commitRequest(Int64($0)), version: 9) }
    broker.disk.trouble.withLock { $0.holdsFlushes = false }
    for commit in commits { #expect(try await commit.answer().topics[0].partitions[0].errorCode == 0) }
    #expect(try await client.committed() == 99)
  }

  @Test func `a full disk refuses what it cannot keep, and the group comes back once there is room`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    let (memberId, generation) = try await client.becomeOnlyMember()
    #expect(try await client.commit(1, memberId: memberId, generation: generation) == .none)
    let newcomer = try await broker.send(try client.joinRequest(), version: 9).memberId
    let parked = try broker.begin(try client.joinRequest(memberId: newcomer), version: 9)

    broker.disk.trouble.withLock { $0 = .init(path: "__consumer_offsets", isFull: true) }
    #expect(try await client.commit(2, memberId: memberId, generation: generation) == .notCoordinator)
    #expect(ErrorCode(rawValue: try await parked.answer().errorCode) == .notCoordinator)
    #expect(try await client.heartbeat(memberId, generation) == .notCoordinator)
    #expect(ErrorCode(rawValue: try await client.findCoordinator().errorCode) == .coordinatorNotAvailable)

    broker.disk.trouble.withLock { $0.isFull = false }
    try await eventually { try await client.findCoordinator().errorCode == 0 }
    try await eventually { (try? await client.committed()) == 1 }
    #expect(try await client.heartbeat(memberId, generation) == .none)
    #expect(try await client.commit(3, memberId: memberId, generation: generation) == .none)
    #expect(try await client.committed() == 3)
  }

  @Test func `after a flush that failed the coordinator is gone until the broker starts again`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    #expect(try await client.commit(1) == .none)
    broker.disk.trouble.withLock { $0 = .init(path: "__consumer_offsets", failsFlushes: true) }
    #expect(try await client.commit(2) == .notCoordinator)
    broker.disk.trouble.withLock { $0.failsFlushes = false }
    #expect(try await client.commit(3) == .notCoordinator)
    #expect(ErrorCode(rawValue: try await client.findCoordinator().errorCode) == .coordinatorNotAvailable)
    try broker.restart()
    try await eventually { (try? await client.committed()) != nil }
    #expect([1, 2].contains(try await client.committed()), "2 was refused, not promised to be gone")
    #expect(try await client.commit(4) == .none)
  }

  @Test func `while its journal is read a group says so, and heartbeats are fine`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    #expect(try await client.commit(7) == .none)
    broker.stop()
    broker.disk.trouble.withLock { $0 = .init(path: "__consumer_offsets", holdsReads: true) }
    try broker.startAgain()
    #expect(try await client.commit(8) == .coordinatorLoadInProgress)
    #expect(try await client.heartbeat("m", 1) == .none)
    #expect(
      ErrorCode(rawValue: try await broker.send(ListGroupsRequest(), version: 5).errorCode)
        == .coordinatorLoadInProgress)
    await #expect(throws: ErrorCode.coordinatorLoadInProgress) { try await client.committed() }
    broker.disk.trouble.withLock { $0.holdsReads = false }
    try await eventually { (try? await client.committed()) == 7 }
  }

  @Test func `members whose sessions end while nobody asks are dropped`() async throws {
    let broker = try GroupBroker(["group.min.session.timeout.ms": "50"])
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    let memberId = try await broker.send(try client.joinRequest(sessionMs: 5_000), version: 9).memberId
    let joined = try await broker.send(try client.joinRequest(memberId: memberId, sessionMs: 5_000), version: 9)
    #expect(joined.errorCode == 0)
    try await eventually {
      try await broker.send(DescribeGroupsRequest(groups: ["g"]), version: 6).groups[0].groupState == "Empty"
    }
    #expect(try await client.heartbeat(memberId, joined.generationId) == .unknownMemberId)
  }

  @Test func `a broker that stops leaves nobody waiting`() async throws {
    let broker = try GroupBroker()
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    _ = try await client.becomeOnlyMember()
    let newcomer = try await broker.send(try client.joinRequest(), version: 9).memberId
    let parked = try broker.begin(try client.joinRequest(memberId: newcomer), version: 9)
    #expect(!parked.isAnswered)
    broker.stop()
    #expect(ErrorCode(rawValue: try await parked.answer().errorCode) == .notCoordinator)
  }

  @Test func `offsets of a deleted topic are forgotten, also after a restart`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    try await broker.makeTopic("payments")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    #expect(try await client.commit(1, topic: "orders") == .none)
    #expect(try await client.commit(2, topic: "payments") == .none)
    try await broker.deleteTopic("orders")
    try await eventually { try await client.committed(topic: "orders") == -1 }
    #expect(try await client.committed(topic: "payments") == 2)
    try broker.restart()
    try await eventually { (try? await client.committed(topic: "payments")) == 2 }
    #expect(try await client.committed(topic: "orders") == -1)
  }

  @Test func `an offset whose time has passed goes, and an empty group with its last offset`() async throws {
    let broker = try GroupBroker(["offsets.retention.check.interval.ms": "20"])
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    var request = client.commitRequest(1)
    request.retentionTimeMs = 1
    #expect(try await broker.send(request, version: 2).topics[0].partitions[0].errorCode.code == .none)
    let stays = GroupClient(broker: broker, groupId: "stays")
    #expect(try await stays.commit(2) == .none)
    try await eventually { try await broker.send(ListGroupsRequest()).groups.map(\.groupId) == ["stays"] }
    #expect(try await client.committed() == -1)
    #expect(try await stays.committed() == 2)
  }
}
