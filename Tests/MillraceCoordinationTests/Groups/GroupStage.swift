// A group coordinator on a stage: a shard, a journal that takes every record in its encoded form, a clock that the test
// turns, and clients whose requests are one line each. What the runtime does with sockets and files is done by hand.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

struct GroupStage {
  var shard: GroupShard
  var topics = TopicImage()
  private(set) var now = Moment(wallMs: 1_700_000_000_000, uptimeMs: 0)
  private(set) var journal: [(key: ByteBuffer, value: ByteBuffer?)] = []
  private(set) var notices: [GroupNotice] = []
  var patternQueries: [PatternQuery] = []
  private(set) var joinAnswers: [JoinTicket: JoinGroupResponse] = [:]
  private(set) var syncAnswers: [SyncTicket: SyncGroupResponse] = [:]
  /// Requests that wait for an answer on a connection that is still there.
  private(set) var parkedJoins: Set<JoinTicket> = []
  private(set) var parkedSyncs: Set<SyncTicket> = []
  private var timers: [GroupTimer] = []
  private var lastId: UInt64 = 0

  init(config: GroupConfig = GroupConfig()) {
    shard = GroupShard(config: config)
  }

  // MARK: Requests

  mutating func join(
    _ groupId: String, memberId: String = "", instance: String? = nil, version: Int16 = 9,
    protocols: [String: [String]] = ["range": ["orders"]], type: String = "consumer", sessionMs: Int32 = 10_000,
    rebalanceMs: Int32 = 60_000, clientId: String = "client"
  ) -> JoinTicket {
    lastId += 1
    let ticket = JoinTicket(id: lastId)
    parkedJoins.insert(ticket)
    let request = JoinGroupRequest(
      groupId: groupId, sessionTimeoutMs: sessionMs, rebalanceTimeoutMs: rebalanceMs, memberId: memberId,
      groupInstanceId: instance, protocolType: type,
      protocols: protocols.sorted { $0.key < $1.key }.map { name, topics in
        .init(name: name, metadata: Self.subscription(topics))
      })
    let caller = JoinCaller(
      version: version, clientId: clientId, clientHost: "/127.0.0.1", idSuffix: "\(lastId)")
    perform(shard.join(request, from: caller, ticket: ticket, topics: topics, now: now))
    return ticket
  }

  /// Joins as a dynamic client does: once to be given an id, once with it.
  mutating func joinWithId(
    _ groupId: String, protocols: [String: [String]] = ["range": ["orders"]], sessionMs: Int32 = 10_000,
    rebalanceMs: Int32 = 60_000
  ) throws -> (memberId: String, ticket: JoinTicket) {
    let first = join(groupId, protocols: protocols, sessionMs: sessionMs, rebalanceMs: rebalanceMs)
    let refusal = try #require(joinAnswers[first])
    #expect(refusal.errorCode == ErrorCode.memberIdRequired.rawValue)
    let ticket = join(
      groupId, memberId: refusal.memberId, protocols: protocols, sessionMs: sessionMs, rebalanceMs: rebalanceMs)
    return (refusal.memberId, ticket)
  }

  mutating func sync(
    _ groupId: String, _ memberId: String, _ generation: Int32, assigning: [String: String] = [:],
    instance: String? = nil, protocolType: String? = nil, protocolName: String? = nil
  ) -> SyncTicket {
    lastId += 1
    let ticket = SyncTicket(id: lastId)
    parkedSyncs.insert(ticket)
    let request = SyncGroupRequest(
      groupId: groupId, generationId: generation, memberId: memberId, groupInstanceId: instance,
      protocolType: protocolType, protocolName: protocolName,
      assignments: assigning.sorted { $0.key < $1.key }.map {
        .init(memberId: $0, assignment: Self.slice(of: ByteBuffer(string: $1)))
      })
    perform(shard.sync(request, ticket: ticket, topics: topics, now: now))
    return ticket
  }

  mutating func heartbeat(_ groupId: String, _ memberId: String, _ generation: Int32, instance: String? = nil)
    -> ErrorCode
  {
    let request = HeartbeatRequest(
      groupId: groupId, generationId: generation, memberId: memberId, groupInstanceId: instance)
    let (response, alarms) = shard.heartbeat(request, now: now)
    timers += alarms
    return ErrorCode(rawValue: response.errorCode)
  }

  mutating func leave(_ groupId: String, _ memberIds: String...) -> [ErrorCode] {
    leave(groupId, memberIds.map { .init(memberId: $0) })
  }

  mutating func leave(_ groupId: String, _ members: [LeaveGroupRequest.MemberIdentity]) -> [ErrorCode] {
    let request = LeaveGroupRequest(groupId: groupId, members: members)
    let (response, decision) = shard.leave(request, version: 5, topics: topics, now: now)
    perform(decision)
    return response.members.map { ErrorCode(rawValue: $0.errorCode) }
  }

  mutating func commit(
    _ groupId: String, _ memberId: String = "", _ generation: Int32 = -1, topic: String = "orders",
    partition: Int32 = 0, offset: Int64, metadata: String = "", leaderEpoch: Int32 = -1, topicId: Uuid = .zero,
    instance: String? = nil, retentionMs: Int64 = -1, version: Int16 = 9
  ) -> ErrorCode {
    let request = OffsetCommitRequest(
      groupId: groupId, generationIdOrMemberEpoch: generation, memberId: memberId, groupInstanceId: instance,
      retentionTimeMs: retentionMs,
      topics: [
        .init(
          name: topic, topicId: topicId,
          partitions: [
            .init(
              partitionIndex: partition, committedOffset: offset, committedLeaderEpoch: leaderEpoch,
              committedMetadata: metadata)
          ])
      ])
    let (response, decision) = shard.commit(request, version: version, now: now)
    perform(decision)
    return ErrorCode(rawValue: response.topics[0].partitions[0].errorCode)
  }

  func committed(
    _ groupId: String, topic: String = "orders", partition: Int32 = 0, topicId: Uuid = .zero
  ) -> OffsetFetchResponse.OffsetFetchResponsePartitions {
    let response = shard.fetchOffsets(
      .init(groupId: groupId, topics: [.init(name: topic, topicId: topicId, partitionIndexes: [partition])]))
    return response.topics[0].partitions[0]
  }

  mutating func delete(_ groupId: String) -> ErrorCode {
    let (results, decision) = shard.delete([groupId])
    perform(decision)
    return ErrorCode(rawValue: results[0].errorCode)
  }

  mutating func deleteOffset(_ groupId: String, topic: String, partition: Int32 = 0) -> (ErrorCode, ErrorCode?) {
    let (response, decision) = shard.deleteOffsets(
      OffsetDeleteRequest(
        groupId: groupId, topics: [.init(name: topic, partitions: [.init(partitionIndex: partition)])]))
    perform(decision)
    return (
      ErrorCode(rawValue: response.errorCode),
      response.topics.first.map { ErrorCode(rawValue: $0.partitions[0].errorCode) }
    )
  }

  mutating func deleteTopic(_ topic: String) { perform(shard.topicsDeleted([topic])) }

  mutating func expireOffsets() { perform(shard.expireOffsets(now: now)) }

  // MARK: What came of them

  func answer(_ ticket: JoinTicket) -> JoinGroupResponse? { joinAnswers[ticket] }
  func answer(_ ticket: SyncTicket) -> SyncGroupResponse? { syncAnswers[ticket] }
  func error(_ ticket: JoinTicket) -> ErrorCode? { joinAnswers[ticket].map { ErrorCode(rawValue: $0.errorCode) } }
  func error(_ ticket: SyncTicket) -> ErrorCode? { syncAnswers[ticket].map { ErrorCode(rawValue: $0.errorCode) } }

  func assignment(_ ticket: SyncTicket) -> String? {
    syncAnswers[ticket].map { String(buffer: $0.assignment) }
  }

  func group(_ groupId: String) -> ClassicGroup? { shard.classicGroups[groupId] }

  var groupRecords: [GroupMetadataValue?] {
    journal.compactMap { entry -> GroupMetadataValue?? in
      guard case .group(_, let value) = try? GroupRecord.decode(key: entry.key, value: entry.value) else { return nil }
      return value
    }
  }

  // MARK: Time

  /// Lets time pass, and every alarm go off when it is due.
  mutating func pass(ms: Int64) {
    let end = now.uptimeMs + ms
    while let next = timers.min(by: { $0.deadlineMs < $1.deadlineMs }), next.deadlineMs <= end {
      timers.removeAll { $0 == next }
      turnClock(to: max(now.uptimeMs, next.deadlineMs))
      perform(shard.timerFired(next, topics: topics, now: now))
    }
    turnClock(to: end)
  }

  /// Lets the first rebalance of a group complete, with all who have joined by now.
  mutating func passInitialDelay() { pass(ms: Int64(shard.config.initialRebalanceDelayMs) * 3) }

  private mutating func turnClock(to uptimeMs: Int64) {
    now.wallMs += uptimeMs - now.uptimeMs
    now.uptimeMs = uptimeMs
  }

  var alarmCount: Int { timers.count }

  // MARK: The runtime's part

  mutating func perform(_ decision: GroupDecision) {
    for record in decision.records {
      do {
        let encoded = try record.encode()
        journal.append(encoded)
        #expect(try GroupRecord.decode(key: encoded.key, value: encoded.value) == record)
      } catch {
        Issue.record(error)
      }
    }
    for answer in decision.answers {
      switch answer {
      case .join(let ticket, let response):
        #expect(parkedJoins.remove(ticket) != nil, "\(ticket) was answered twice")
        joinAnswers[ticket] = response
      case .sync(let ticket, let response):
        #expect(parkedSyncs.remove(ticket) != nil, "\(ticket) was answered twice")
        syncAnswers[ticket] = response
      }
    }
    timers += decision.timers
    notices += decision.notices
    patternQueries += decision.patternQueries
  }

  /// A request that is about to be made has to be answered at most once.
  mutating func expect(_ ticket: JoinTicket) { parkedJoins.insert(ticket) }
  mutating func expect(_ ticket: SyncTicket) { parkedSyncs.insert(ticket) }

  /// A shard that knows nothing but the journal.
  func replayed() throws -> GroupShard {
    var shard = GroupShard(config: shard.config)
    for entry in journal {
      if let record = try GroupRecord.decode(key: entry.key, value: entry.value) { shard.replay(record) }
    }
    return shard
  }

  /// The broker stops and starts again: parked requests and alarms are gone with its connections.
  mutating func restart() throws {
    shard = try replayed()
    timers = []
    parkedJoins = []
    parkedSyncs = []
    perform(shard.loaded(topics: TopicImage(), now: now))
  }

  static func subscription(_ topics: [String]) -> ByteBuffer {
    var writer = MessageWriter()
    writer.writeInt16(1)
    try? ConsumerProtocolSubscription(topics: topics).write(to: &writer, version: 1)
    return slice(of: writer.buffer)
  }

  /// How large the buffer is that a request's byte strings are slices of.
  static let frameBytes = 32 << 10

  /// Bytes as a request brings them.
  private static func slice(of bytes: ByteBuffer) -> ByteBuffer {
    var frame = ByteBufferAllocator().buffer(capacity: frameBytes)
    frame.writeImmutableBuffer(bytes)
    return frame.readSlice(length: bytes.readableBytes) ?? ByteBuffer()
  }
}

extension GroupStage {
  /// A stable group of dynamic members, the leader first.
  mutating func stableGroup(
    _ groupId: String, members count: Int, topics: [String] = ["orders"]
  ) throws -> (memberIds: [String], generation: Int32) {
    var joined: [(memberId: String, ticket: JoinTicket)] = []
    for _ in 0..<count { joined.append(try joinWithId(groupId, protocols: ["range": topics])) }
    passInitialDelay()
    let generation = try #require(answer(joined[0].ticket)).generationId
    let memberIds = joined.map(\.memberId)
    let assignment = Dictionary(uniqueKeysWithValues: memberIds.map { ($0, "part of \($0)") })
    for memberId in memberIds.reversed() {
      _ = sync(groupId, memberId, generation, assigning: memberId == memberIds[0] ? assignment : [:])
    }
    #expect(group(groupId)?.state == .stable)
    return (memberIds, generation)
  }
}
