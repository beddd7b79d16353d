import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupMigrationTests {
  /// A stable classic group of consumers with a real assignment: the leader gives everybody the same number.
  private func classicGroup(
    _ stage: inout GroupStage, members count: Int, partitions: Int32
  ) throws -> (ids: [String], generation: Int32) {
    var joined: [(memberId: String, ticket: JoinTicket)] = []
    for _ in 0..<count { joined.append(try stage.joinWithId("g")) }
    stage.passInitialDelay()
    let generation = try #require(stage.answer(joined[0].ticket)).generationId
    let leader = joined[0].memberId
    var shares: [String: [Int32]] = [:]
    for partition in 0..<partitions { shares[joined[Int(partition) % count].memberId, default: []].append(partition) }
    for (memberId, _) in joined.reversed() {
      let request = SyncGroupRequest(
        groupId: "g", generationId: generation, memberId: memberId,
        assignments: memberId == leader
          ? shares.sorted { $0.key < $1.key }.map { .init(memberId: $0, assignment: Self.assignment($1)) } : [])
      stage.syncNow(request)
    }
    #expect(stage.group("g")?.state == .stable)
    return (joined.map(\.memberId), generation)
  }

  private static func assignment(_ partitions: [Int32]) -> ByteBuffer {
    var writer = MessageWriter()
    writer.writeInt16(1)
    try? ConsumerProtocolAssignment(assignedPartitions: [.init(topic: "orders", partitions: partitions)])
      .write(to: &writer, version: 1)
    return writer.buffer
  }

  /// Joins and syncs as a classic member does that was told to; returns its generation and what it may read.
  private func rejoin(
    _ stage: inout GroupStage, _ memberId: String, owned: [Int32], instance: String? = nil
  ) throws -> (generation: Int32, partitions: [Int32]) {
    var writer = MessageWriter()
    writer.writeInt16(1)
    try ConsumerProtocolSubscription(topics: ["orders"], ownedPartitions: [.init(topic: "orders", partitions: owned)])
      .write(to: &writer, version: 1)
    let ticket = stage.joinNow(
      JoinGroupRequest(
        groupId: "g", sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, memberId: memberId,
        groupInstanceId: instance, protocolType: "consumer", protocols: [.init(name: "range", metadata: writer.buffer)])
    )
    let joined = try #require(stage.answer(ticket))
    #expect(joined.errorCode == 0)
    let syncing = stage.sync("g", joined.memberId, joined.generationId)
    let synced = try #require(stage.answer(syncing))
    #expect(synced.errorCode == 0)
    let assigned = try #require(PartitionsByTopic(classicAssignment: synced.assignment, by: "range", stage.topics))
    return (joined.generationId, assigned.topics.values.first?.sorted() ?? [])
  }

  @Test func `the first new consumer makes a classic group a consumer group, and nobody loses anything yet`() throws {
    var stage = GroupStage()
    let orders = stage.addTopic("orders", partitions: 4)
    let (ids, generation) = try classicGroup(&stage, members: 2, partitions: 4)
    var newcomer = TestConsumer("g", "new")
    newcomer.heartbeat(&stage)
    #expect(newcomer.lastError == .none)
    #expect(newcomer.owned.isEmpty)
    #expect(stage.group("g") == nil)
    let group = try #require(stage.consumerGroup("g"))
    #expect(group.epoch == generation + 1)
    for id in ids { #expect(group.members[id]?.placement.assigned[orders].count == 2) }
    // The old members hear of it, and still have what they have.
    for id in ids { #expect(stage.heartbeat("g", id, generation) == .rebalanceInProgress) }
    #expect(stage.commit("g", ids[0], generation, offset: 3) == .none)
    try stage.checkConsumerGroups()
  }

  @Test func `classic members give up and get partitions by joining and syncing`() throws {
    var stage = GroupStage()
    let orders = stage.addTopic("orders", partitions: 6)
    let (ids, _) = try classicGroup(&stage, members: 2, partitions: 6)
    var newcomer = TestConsumer("g", "new")
    newcomer.heartbeat(&stage)
    var owned: [String: [Int32]] = [ids[0]: [0, 2, 4], ids[1]: [1, 3, 5]]
    for _ in 0..<4 {
      for id in ids { owned[id] = try rejoin(&stage, id, owned: owned[id] ?? []).partitions }
      newcomer.heartbeat(&stage)
      try stage.checkConsumerGroups()
    }
    #expect(newcomer.partitionCount == 2)
    #expect(owned.values.allSatisfy { $0.count == 2 })
    let all = owned.values.flatMap { $0 } + (newcomer.owned[orders] ?? [])
    #expect(all.sorted() == [0, 1, 2, 3, 4, 5])
    let epoch = try #require(stage.consumerGroup("g")).epoch
    for id in ids { #expect(stage.heartbeat("g", id, epoch) == .none) }
    #expect(stage.heartbeat("g", ids[0], epoch - 1) == .illegalGeneration)
    #expect(stage.heartbeat("g", "new", epoch) == .unknownMemberId, "it does not use the classic protocol")
    #expect(stage.consumerGroup("g")?.state == .stable)
  }

  @Test func `when the last new consumer goes the group is a classic group again`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 4)
    let (ids, _) = try classicGroup(&stage, members: 2, partitions: 4)
    var newcomer = TestConsumer("g", "new")
    newcomer.heartbeat(&stage)
    _ = stage.commit("g", ids[0], 1, offset: 7)
    newcomer.leave(&stage)
    #expect(stage.consumerGroup("g") == nil)
    let group = try #require(stage.group("g"))
    #expect(group.state == .preparingRebalance)
    #expect(group.members.count == 2)
    #expect(stage.committed("g").committedOffset == 7)
    let replayed = try stage.replayed()
    #expect(replayed.consumerGroups.isEmpty)
    #expect(replayed.classicGroups["g"]?.members.count == 2)

    // And on as ever: the members join, and one of them leads.
    let tickets = ids.map { stage.join("g", memberId: $0) }
    let answers = tickets.compactMap { stage.answer($0) }
    #expect(answers.count == 2)
    #expect(answers.allSatisfy { $0.errorCode == 0 })
    #expect(answers.contains { $0.memberId == $0.leader && $0.members.count == 2 })
  }

  @Test func `a member that dies makes the group a classic group too`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    let (ids, generation) = try classicGroup(&stage, members: 1, partitions: 2)
    var newcomer = TestConsumer("g", "new")
    newcomer.heartbeat(&stage)
    for _ in 0..<12 {
      stage.pass(ms: 4_000)
      _ = stage.heartbeat("g", ids[0], generation)
    }
    #expect(stage.consumerGroup("g") == nil)
    #expect(stage.group("g")?.members.keys.map { $0 } == ids)
  }

  @Test func `members that leave by LeaveGroup leave a consumer group`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 4)
    let (ids, _) = try classicGroup(&stage, members: 2, partitions: 4)
    var newcomer = TestConsumer("g", "new")
    newcomer.heartbeat(&stage)
    #expect(stage.leave("g", ids[0], "stranger") == [.none, .unknownMemberId])
    #expect(stage.consumerGroup("g")?.members.keys.sorted() == [ids[1], "new"].sorted())
    #expect(stage.leave("g", ids[1]) == [.none])
    for _ in 0..<4 { newcomer.heartbeat(&stage) }
    #expect(newcomer.partitionCount == 4)
  }

  @Test func `a classic member that does not join again is removed after its rebalance time-out`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    let (ids, generation) = try classicGroup(&stage, members: 1, partitions: 2)
    var newcomer = TestConsumer("g", "new")
    newcomer.heartbeat(&stage)
    for _ in 0..<16 {
      stage.pass(ms: 4_000)
      _ = stage.heartbeat("g", ids[0], generation)
      newcomer.heartbeat(&stage)
    }
    #expect(stage.consumerGroup("g")?.members.keys.sorted() == ["new"])
    #expect(newcomer.partitionCount == 2)
  }

  @Test func `requests that wait in the classic group are answered when it changes`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    let (ids, _) = try classicGroup(&stage, members: 2, partitions: 2)
    let waiting = stage.join("g", memberId: ids[0])
    #expect(stage.answer(waiting) == nil)
    var newcomer = TestConsumer("g", "new")
    newcomer.heartbeat(&stage)
    #expect(stage.error(waiting) == .rebalanceInProgress)
    #expect(stage.parkedJoins.isEmpty)
  }

  @Test(arguments: MigrationPolicy.allCases)
  func `the policy says what may become what`(policy: MigrationPolicy) throws {
    var config = GroupConfig()
    config.consumer.migrationPolicy = policy
    var stage = GroupStage(config: config)
    _ = stage.addTopic("orders", partitions: 2)
    let (ids, _) = try classicGroup(&stage, members: 1, partitions: 2)
    var newcomer = TestConsumer("g", "new")
    newcomer.heartbeat(&stage)
    let upgrades = policy == .bidirectional || policy == .upgrade
    #expect(newcomer.lastError == (upgrades ? .none : .groupIdNotFound))
    #expect((stage.consumerGroup("g") != nil) == upgrades)
    guard upgrades else { return }
    newcomer.leave(&stage)
    #expect((stage.group("g") != nil) == (policy == .bidirectional))
    #expect(stage.consumerGroup("g")?.members.keys.sorted() == (policy == .upgrade ? ids : nil))
  }

  @Test func `an empty group of either kind gives way to the other and keeps its offsets`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 1)
    #expect(stage.commit("g", offset: 5) == .none)
    var member = TestConsumer("g", "a")
    member.heartbeat(&stage)
    #expect(member.lastError == .none)
    member.leave(&stage)
    let (id, ticket) = try stage.joinWithId("g")
    #expect(stage.answer(ticket) == nil)
    #expect(stage.consumerGroup("g") == nil)
    #expect(stage.leave("g", id) == [.none])
    stage.passInitialDelay()
    #expect(stage.group("g")?.state == .empty)
    #expect(stage.committed("g").committedOffset == 5)
    #expect(try stage.replayed().consumerGroups.isEmpty)
    member.heartbeat(&stage)
    #expect(member.lastError == .none)
    #expect(stage.group("g") == nil)
  }

  @Test func `a group of other things than consumers is left alone`() throws {
    var stage = GroupStage()
    _ = stage.join("g", version: 3, protocols: ["connect": ["orders"]], type: "connect")
    stage.passInitialDelay()
    var member = TestConsumer("g", "a")
    member.heartbeat(&stage)
    #expect(member.lastError == .groupIdNotFound)
    #expect(stage.group("g")?.members.count == 1)
  }

  @Test func `user data of an assignor that nobody else has is not thrown away`() {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var writer = MessageWriter()
    writer.writeInt16(0)
    try? ConsumerProtocolAssignment(
      assignedPartitions: [.init(topic: "orders", partitions: [0])], userData: ByteBuffer(bytes: [1])
    ).write(to: &writer, version: 0)
    #expect(PartitionsByTopic(classicAssignment: writer.buffer, by: "homemade", stage.topics) == nil)
    #expect(PartitionsByTopic(classicAssignment: writer.buffer, by: "cooperative-sticky", stage.topics)?.count == 1)
    #expect(PartitionsByTopic(classicAssignment: ByteBuffer(bytes: [0]), by: "range", stage.topics) == nil)
    #expect(PartitionsByTopic(classicAssignment: ByteBuffer(), by: "range", stage.topics)?.isEmpty == true)
  }

  @Test func `a static member that comes back as a classic one takes its place and downgrades`() throws {
    var stage = GroupStage()
    let orders = stage.addTopic("orders", partitions: 2)
    var member = TestConsumer("g", "a", instance: "i")
    member.heartbeat(&stage)
    #expect(member.partitionCount == 2)
    member.leave(&stage, forNow: true)
    let (_, partitions) = try rejoin(&stage, "", owned: [], instance: "i")
    #expect(partitions == [0, 1])
    #expect(stage.consumerGroup("g") == nil)
    #expect(stage.group("g")?.members.count == 1)
    #expect(try stage.replayed().classicGroups["g"]?.members.count == 1)
    _ = orders
  }

  @Test func `a new classic member of a consumer group comes back with the id it was given`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var member = TestConsumer("g", "a")
    member.heartbeat(&stage)
    let (id, ticket) = try stage.joinWithId("g")
    #expect(stage.error(ticket) == ErrorCode.none)
    #expect(stage.consumerGroup("g")?.members[id]?.usesClassicProtocol == true)
    let stranger = stage.join("g", type: "connect")
    #expect(stage.error(stranger) == .inconsistentGroupProtocol)
    let wordy = stage.join("g", memberId: String(repeating: "x", count: 40_000))
    #expect(stage.error(wordy) == .invalidRequest)
    #expect(stage.describeConsumerGroup("g").members.map(\.memberType).sorted() == [0, 1])
  }
}

extension GroupStage {
  fileprivate mutating func joinNow(_ request: JoinGroupRequest) -> JoinTicket {
    let ticket = JoinTicket(id: 1_000_000 + UInt64(journal.count * 1_000 + joinAnswers.count))
    expect(ticket)
    let caller = JoinCaller(version: 9, clientId: "client", clientHost: "/127.0.0.1", idSuffix: "s\(ticket.id)")
    perform(shard.join(request, from: caller, ticket: ticket, topics: topics, now: now))
    return ticket
  }

  fileprivate mutating func syncNow(_ request: SyncGroupRequest) {
    let ticket = SyncTicket(id: 1_000_000 + UInt64(journal.count * 1_000 + syncAnswers.count + parkedSyncs.count))
    expect(ticket)
    perform(shard.sync(request, ticket: ticket, topics: topics, now: now))
  }
}
