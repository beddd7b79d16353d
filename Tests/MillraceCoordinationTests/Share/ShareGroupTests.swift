// Share groups by scenario: joining, assignments, leaving, states of partitions, offsets, and a restart after all of it.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

/// A shard with a share coordinator that does at once what it is asked, and a journal of encoded records.
struct ShareGroupStage {
  private var all = GroupShard(config: GroupConfig())
  var topics = TopicImage()
  private(set) var now = Moment(wallMs: 1_700_000_000_000, uptimeMs: 0)
  private(set) var journal: [(key: ByteBuffer, value: ByteBuffer?)] = []
  private(set) var timers: [GroupTimer] = []
  private(set) var initializations: [ShareInitialization] = []
  private(set) var fenced: [ShareSessionKey] = []
  /// Whether the share coordinator answers.
  var isCoordinatorUp = true

  init(topics: [String: Int32] = ["t": 4]) { setTopics(topics) }

  static func id(_ name: String) -> Uuid { Uuid(high: 9, low: UInt64(name.utf8.first ?? 0)) }

  mutating func setTopics(_ counts: [String: Int32]) {
    for name in topics.names where counts[name] == nil { topics.remove(id: Self.id(name)) }
    for (name, count) in counts { topics.put(TopicFacts(name: name, id: Self.id(name), partitionCount: count)) }
  }

  mutating func advance(_ ms: Int64) {
    now.wallMs += ms
    now.uptimeMs += ms
    while let timer = timers.filter({ $0.deadlineMs <= now.uptimeMs }).min(by: { $0.deadlineMs < $1.deadlineMs }) {
      timers.removeAll { $0 == timer }
      let decision = all.timerFired(timer, topics: topics, now: now)
      perform(decision)
    }
  }

  mutating func heartbeat(
    _ member: String, epoch: Int32 = 0, topics names: [String]? = nil, group: String = "g", rack: String? = nil
  ) -> ShareGroupHeartbeatResponse {
    let request = ShareGroupHeartbeatRequest(
      groupId: group, memberId: member, memberEpoch: epoch, rackId: rack, subscribedTopicNames: names)
    let (response, decision) = all.heartbeat(
      request, from: HeartbeatCaller(clientId: "c", clientHost: "/h"), topics: topics, now: now)
    perform(decision)
    return response
  }

  /// Heartbeats of all members until nothing changes any more.
  mutating func settle(_ group: String = "g") {
    for _ in 0..<3 {
      for (memberId, member) in (shard.groups[group]?.members ?? [:]).sorted(by: { $0.key < $1.key }) {
        _ = heartbeat(memberId, epoch: member.memberEpoch, group: group)
      }
    }
  }

  mutating func perform(_ decision: GroupDecision) {
    for record in decision.records {
      guard let bytes = try? record.encode() else {
        Issue.record("a record that cannot be written: \(record)")
        continue
      }
      journal.append(bytes)
    }
    timers += decision.timers
    fenced += decision.fenced
    initializations += decision.initializations
    begin(decision.initializations)
  }

  /// What the share coordinator does.
  mutating func begin(_ wanted: [ShareInitialization]) {
    guard isCoordinatorUp, let group = wanted.first?.key.groupId else { return }
    let partitions = wanted.reduce(into: PartitionsByTopic()) { $0.insert($1.key.topicId, $1.key.partition) }
    let next = all.initialized(partitions, butNot: [:], ofGroup: group, topics: topics)
    perform(next)
  }

  func assigned(_ member: String, _ topic: String = "t", group: String = "g") -> Set<Int32> {
    shard.groups[group]?.members[member]?.assigned[Self.id(topic)] ?? []
  }

  private func replayedAll() throws -> GroupShard {
    var fresh = GroupShard(config: all.config)
    for (key, value) in journal {
      if let record = try GroupRecord.decode(key: key, value: value) { fresh.replay(record) }
    }
    return fresh
  }

  func replayed() throws -> ShareGroupShard { try replayedAll().share }

  mutating func restart() throws {
    timers = []
    all = try replayedAll()
    let decision = all.loaded(topics: topics, now: now)
    perform(decision)
  }

  var shard: ShareGroupShard {
    get { all.share }
    set { all.share = newValue }
  }

  var config: ShareGroupConfig {
    get { all.config.share }
    set { all.config.share = newValue }
  }

  /// All kinds of groups.
  var groups: GroupShard {
    get { all }
    set { all = newValue }
  }
}

extension PartitionsByTopic: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (Uuid, Set<Int32>)...) {
    self.init(Dictionary(uniqueKeysWithValues: elements))
  }
}

@Suite struct ShareGroupTests {
  private func error(_ response: ShareGroupHeartbeatResponse) -> ErrorCode { ErrorCode(rawValue: response.errorCode) }

  @Test func `a member joins, the state of its partitions is initialized, and it gets them all`() {
    var stage = ShareGroupStage()
    let first = stage.heartbeat("a", topics: ["t"])
    #expect(first.memberEpoch == 1)
    #expect(first.assignment?.topicPartitions.isEmpty == true)
    #expect(first.heartbeatIntervalMs == 5_000)
    #expect(stage.initializations.map(\.key.partition) == [0, 1, 2, 3])
    #expect(stage.initializations.allSatisfy { $0.startOffset == -1 && $0.stateEpoch == 1 })
    let second = stage.heartbeat("a", epoch: 1)
    #expect(second.memberEpoch == 2)
    #expect(second.assignment?.topicPartitions.first?.partitions == [0, 1, 2, 3])
    let third = stage.heartbeat("a", epoch: 2)
    #expect(third.memberEpoch == 2)
    #expect(third.assignment == nil)
    #expect(stage.initializations.count == 4)
  }

  @Test func `partitions are divided among members, and shared when there are more members`() {
    var stage = ShareGroupStage()
    for member in ["a", "b", "c"] { _ = stage.heartbeat(member, topics: ["t"]) }
    stage.settle()
    let three = ["a", "b", "c"].map { stage.assigned($0) }
    #expect(three.map(\.count).sorted() == [1, 1, 2])
    #expect(three.reduce(into: Set<Int32>()) { $0.formUnion($1) } == [0, 1, 2, 3])
    for member in ["d", "e", "f"] { _ = stage.heartbeat(member, topics: ["t"]) }
    stage.settle()
    let six = ["a", "b", "c", "d", "e", "f"].map { stage.assigned($0) }
    #expect(six.allSatisfy { !$0.isEmpty })
    for partition in Int32(0)..<4 { #expect(six.filter { $0.contains(partition) }.count >= 1) }
  }

  @Test func `members with different subscriptions get only what they subscribe to`() {
    var stage = ShareGroupStage(topics: ["t": 2, "u": 2])
    _ = stage.heartbeat("a", topics: ["t"])
    _ = stage.heartbeat("b", topics: ["t", "u"])
    stage.settle()
    #expect(stage.assigned("a", "u").isEmpty)
    #expect(stage.assigned("b", "u") == [0, 1])
    #expect(stage.assigned("a", "t").union(stage.assigned("b", "t")) == [0, 1])
    let changed = stage.heartbeat("b", epoch: stage.shard.groups["g"]?.members["b"]?.memberEpoch ?? 0, topics: ["t"])
    #expect(changed.assignment != nil)
    stage.settle()
    #expect(stage.assigned("b", "u").isEmpty)
  }

  @Test func `requests that make no sense are refused`() {
    var stage = ShareGroupStage()
    let refusals = [
      error(stage.heartbeat("", topics: ["t"])), error(stage.heartbeat("a", topics: ["t"], group: "")),
      error(stage.heartbeat("a")), error(stage.heartbeat("a", topics: [])),
      error(stage.heartbeat("a", epoch: -2)), error(stage.heartbeat("a", epoch: .min)),
      error(stage.heartbeat("a", topics: ["t"], rack: "")),
    ]
    #expect(refusals.allSatisfy { $0 == .invalidRequest })
    #expect(error(stage.heartbeat("a", epoch: 3)) == .groupIdNotFound)
    #expect(error(stage.heartbeat("a", epoch: -1)) == .groupIdNotFound)
    #expect(stage.shard.groups.isEmpty)
    _ = stage.heartbeat("a", topics: ["t"])
    #expect(error(stage.heartbeat("b", epoch: 1)) == .unknownMemberId)
    #expect(error(stage.heartbeat("b", epoch: -1)) == .unknownMemberId)
  }

  @Test func `an epoch that is neither the member's nor the one before is fenced`() {
    var stage = ShareGroupStage()
    _ = stage.heartbeat("a", topics: ["t"])
    stage.settle()
    #expect(stage.shard.groups["g"]?.members["a"]?.memberEpoch == 2)
    #expect(error(stage.heartbeat("a", epoch: 3)) == .fencedMemberEpoch)
    #expect(error(stage.heartbeat("a", epoch: .max)) == .fencedMemberEpoch)
    #expect(error(stage.heartbeat("a", epoch: 0, topics: ["t"])) == .fencedMemberEpoch)
    #expect(error(stage.heartbeat("a", epoch: 1)) == .none)
  }

  @Test func `a full group takes no new members`() {
    var stage = ShareGroupStage()
    stage.config.maxSize = 1
    _ = stage.heartbeat("a", topics: ["t"])
    #expect(error(stage.heartbeat("b", topics: ["t"])) == .groupMaxSizeReached)
    #expect(error(stage.heartbeat("a", epoch: 1)) == .none)
  }

  @Test func `when a member leaves, the others take over`() {
    var stage = ShareGroupStage()
    for member in ["a", "b"] { _ = stage.heartbeat(member, topics: ["t"]) }
    stage.settle()
    #expect(stage.assigned("a").count == 2)
    let left = stage.heartbeat("b", epoch: -1)
    #expect((left.memberEpoch, left.memberId) == (-1, "b"))
    stage.settle()
    #expect(stage.assigned("a") == [0, 1, 2, 3])
  }

  @Test func `a silent member is put out after the session time-out, and heartbeats keep it in`() {
    var stage = ShareGroupStage()
    for member in ["a", "b"] { _ = stage.heartbeat(member, topics: ["t"]) }
    stage.settle()
    stage.advance(30_000)
    _ = stage.heartbeat("a", epoch: stage.shard.groups["g"]?.members["a"]?.memberEpoch ?? 0)
    stage.advance(20_000)
    #expect(stage.fenced == [ShareSessionKey(groupId: "g", memberId: "b")])
    stage.settle()
    #expect(stage.assigned("a") == [0, 1, 2, 3])
    stage.advance(50_000)
    #expect(stage.shard.groups["g"]?.stateName == "Empty")
  }

  @Test func `new partitions and new topics are noticed with the next heartbeat`() {
    var stage = ShareGroupStage(topics: ["t": 1])
    _ = stage.heartbeat("a", topics: ["t", "u"])
    stage.settle()
    #expect(stage.assigned("a") == [0])
    stage.setTopics(["t": 3, "u": 1])
    stage.settle()
    #expect(stage.assigned("a") == [0, 1, 2])
    #expect(stage.assigned("a", "u") == [0])
    stage.setTopics(["t": 3])
    let gone = stage.shard.deleted(topics: [ShareGroupStage.id("u")])
    stage.perform(gone)
    stage.settle()
    #expect(stage.assigned("a", "u").isEmpty)
    #expect(stage.shard.initializedPartitions(ofGroup: "g") == [ShareGroupStage.id("t"): [0, 1, 2]])
  }

  @Test func `an initialization that nobody heard of is tried again, and no partition is assigned before`() {
    var stage = ShareGroupStage()
    stage.isCoordinatorUp = false
    _ = stage.heartbeat("a", topics: ["t"])
    stage.settle()
    #expect(stage.initializations.count == 4)
    #expect(stage.assigned("a").isEmpty)
    stage.advance(30_000)
    stage.settle()
    #expect(stage.initializations.count == 8)
    let failed = stage.shard.initializationFailed([ShareGroupStage.id("t"): [0, 1, 2, 3]], ofGroup: "g")
    stage.perform(failed)
    stage.isCoordinatorUp = true
    stage.settle()
    #expect(stage.assigned("a") == [0, 1, 2, 3])
  }

  @Test func `a group is what it was after a restart`() throws {
    var stage = ShareGroupStage(topics: ["t": 4, "u": 2])
    for member in ["a", "b", "c"] { _ = stage.heartbeat(member, topics: ["t", "u"]) }
    stage.settle()
    _ = stage.heartbeat("c", epoch: -1)
    stage.settle()
    let before = try #require(stage.shard.groups["g"])
    try stage.restart()
    let after = try #require(stage.shard.groups["g"])
    #expect(after.members == before.members)
    #expect(after.target == before.target)
    #expect((after.epoch, after.assignmentEpoch) == (before.epoch, before.assignmentEpoch))
    #expect(after.statePartitions.initialized == before.statePartitions.initialized)
    #expect(after.subscribers == before.subscribers)
    stage.settle()
    #expect(stage.shard.groups["g"]?.epoch == before.epoch)
    stage.advance(60_000)
    #expect(stage.shard.groups["g"]?.members.isEmpty == true)
  }

  @Test func `describe shows members and their partitions`() {
    var stage = ShareGroupStage()
    _ = stage.heartbeat("a", topics: ["t"])
    stage.settle()
    let group = stage.groups.describeShareGroup("g", topics: stage.topics)
    #expect((group.groupState, group.assignorName) == ("Stable", "simple"))
    #expect(group.members.first?.assignment.topicPartitions.first?.topicName == "t")
    #expect(group.members.first?.subscribedTopicNames == ["t"])
    #expect(
      ErrorCode(rawValue: stage.groups.describeShareGroup("x", topics: stage.topics).errorCode) == .groupIdNotFound)
  }

  @Test func `an empty group is deleted with its states, one with members is not`() throws {
    var stage = ShareGroupStage()
    _ = stage.heartbeat("a", topics: ["t"])
    stage.settle()
    let refused = stage.shard.beginDeletion(ofGroup: "g", topics: stage.topics).0
    #expect(refused == .failure(.nonEmptyGroup))
    _ = stage.heartbeat("a", epoch: -1)
    // Asked twice, since the first attempt may have failed half-way.
    for _ in 0..<2 {
      let (states, decision) = stage.shard.beginDeletion(ofGroup: "g", topics: stage.topics)
      #expect(try states.get().map(\.partition) == [0, 1, 2, 3])
      stage.perform(decision)
    }
    let (error, decision) = stage.shard.finishDeletion(ofGroup: "g")
    #expect(error == .none)
    stage.perform(decision)
    #expect(stage.shard.groups.isEmpty)
    #expect(try stage.replayed().groups.isEmpty)
    let unknown = stage.shard.beginDeletion(ofGroup: "g", topics: stage.topics).0
    #expect(unknown == .failure(.groupIdNotFound))
  }

  @Test func `offsets of an empty group are set, with an epoch above the one before`() throws {
    var stage = ShareGroupStage()
    _ = stage.heartbeat("a", topics: ["t"])
    stage.settle()
    let request = AlterShareGroupOffsetsRequest(
      groupId: "g",
      topics: [
        .init(
          topicName: "t",
          partitions: [
            .init(partitionIndex: 1, startOffset: 42), .init(partitionIndex: 9, startOffset: 0),
            .init(partitionIndex: .min, startOffset: 0), .init(partitionIndex: 0, startOffset: .min),
          ]),
        .init(topicName: "nowhere", partitions: [.init(partitionIndex: 0, startOffset: 0)]),
      ])
    let busy = stage.shard.alterOffsets(request, topics: stage.topics, now: stage.now).0
    #expect(ErrorCode(rawValue: busy.errorCode) == .nonEmptyGroup)
    _ = stage.heartbeat("a", epoch: -1)
    let epoch = try #require(stage.shard.groups["g"]?.epoch)
    let (response, wanted, decision) = stage.shard.alterOffsets(request, topics: stage.topics, now: stage.now)
    let codes = response.responses.flatMap { $0.partitions.map { ErrorCode(rawValue: $0.errorCode) } }
    #expect(
      codes == [.none, .unknownTopicOrPartition, .unknownTopicOrPartition, .invalidRequest, .unknownTopicOrPartition])
    #expect(wanted.map(\.startOffset) == [42])
    #expect(try #require(wanted.first).stateEpoch > epoch)
    stage.perform(decision)
    stage.begin(wanted)
    #expect(try stage.replayed().groups["g"]?.epoch == epoch + 1)
  }

  @Test func `setting offsets founds a group`() throws {
    var stage = ShareGroupStage()
    let request = AlterShareGroupOffsetsRequest(
      groupId: "new", topics: [.init(topicName: "t", partitions: [.init(partitionIndex: 0, startOffset: 7)])])
    let (_, wanted, decision) = stage.shard.alterOffsets(request, topics: stage.topics, now: stage.now)
    stage.perform(decision)
    stage.begin(wanted)
    #expect(stage.shard.initializedPartitions(ofGroup: "new") == [ShareGroupStage.id("t"): [0]])
    #expect(try stage.replayed().groups["new"]?.stateName == "Empty")
  }

  @Test func `offsets of a topic are deleted, and initialized again with the next subscription`() {
    var stage = ShareGroupStage(topics: ["t": 2, "u": 1])
    _ = stage.heartbeat("a", topics: ["t", "u"])
    stage.settle()
    _ = stage.heartbeat("a", epoch: -1)
    let request = DeleteShareGroupOffsetsRequest(
      groupId: "g", topics: [.init(topicName: "t"), .init(topicName: "nowhere")])
    let (response, states, decision) = stage.shard.beginDeletingOffsets(request, topics: stage.topics)
    #expect(response.responses.map { ErrorCode(rawValue: $0.errorCode) } == [.none, .unknownTopicOrPartition])
    #expect(states.map(\.partition) == [0, 1])
    stage.perform(decision)
    let finished = stage.shard.finishDeletingOffsets(ofGroup: "g", topics: [ShareGroupStage.id("t")])
    stage.perform(finished)
    #expect(stage.shard.initializedPartitions(ofGroup: "g") == [ShareGroupStage.id("u"): [0]])
    _ = stage.heartbeat("a", topics: ["t", "u"])
    stage.settle()
    #expect(stage.assigned("a") == [0, 1])
  }
}

@Suite struct ShareAssignmentTests {
  @Test func `whatever the members and partitions, all are served, fairly, and little moves`() {
    let seed = UInt64.random(in: .min ... .max)
    print("ShareAssignment seed \(seed)")
    var random = Jitter(state: seed)
    let topic = Uuid(high: 1, low: 1)
    var current: [String: PartitionsByTopic] = [:]
    var before: (members: Int, partitions: Int) = (0, 0)
    for _ in 0..<200 {
      let members = 1 + Int(random.next() * 12)
      let partitions = 1 + Int(random.next() * 12)
      let input = (0..<members).map { index in
        ShareAssignment.Member(memberId: "m\(index)", topics: [topic], current: current["m\(index)"] ?? [:])
      }
      let assigned = ShareAssignment.assign(
        members: input, assignable: PartitionsByTopic([topic: Set(0..<Int32(partitions))]))
      let counts = assigned.values.map { $0[topic].count }
      let sharing = (members + partitions - 1) / partitions
      for partition in 0..<Int32(partitions) {
        let holders = assigned.values.filter { $0.contains(topic, partition) }.count
        #expect(holders >= 1 && holders <= sharing)
      }
      #expect((counts.max() ?? 0) <= (sharing * partitions + members - 1) / members)
      #expect(assigned.count == members)
      if before == (members, partitions) { #expect(assigned == current) }
      current = assigned
      before = (members, partitions)
      let again = ShareAssignment.assign(
        members: input.map { .init(memberId: $0.memberId, topics: $0.topics, current: assigned[$0.memberId] ?? [:]) },
        assignable: PartitionsByTopic([topic: Set(0..<Int32(partitions))]))
      #expect(again == assigned)
    }
  }

  @Test func `nobody gets anything from nothing`() {
    #expect(ShareAssignment.assign(members: [], assignable: [:]).isEmpty)
    let lonely = ShareAssignment.Member(memberId: "a", topics: [.zero], current: [.zero: [0, 1]])
    #expect(ShareAssignment.assign(members: [lonely], assignable: [:]) == ["a": [:]])
  }
}
