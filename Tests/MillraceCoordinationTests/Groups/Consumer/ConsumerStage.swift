// Consumers of KIP-848 on the group coordinator's stage: requests of one line each, and a client that does what it is
// told as a real one does.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

extension GroupStage {
  mutating func addTopic(_ name: String, partitions: Int32) -> Uuid {
    let id = topics[name]?.id ?? Uuid(high: 1, low: UInt64(topics.version + 1))
    topics.put(TopicFacts(name: name, id: id, partitionCount: partitions))
    return id
  }

  mutating func removeTopic(_ name: String) {
    if let topic = topics[name] { topics.remove(id: topic.id) }
    deleteTopic(name)
  }

  mutating func consumerHeartbeat(
    _ groupId: String, _ memberId: String, epoch: Int32, instance: String? = nil, rebalanceMs: Int32 = -1,
    topics names: [String]? = nil, regex: String? = nil, assignor: String? = nil, owned: [Uuid: Set<Int32>]? = nil,
    version: Int16 = 1
  ) -> ConsumerGroupHeartbeatResponse {
    let request = ConsumerGroupHeartbeatRequest(
      groupId: groupId, memberId: memberId, memberEpoch: epoch, instanceId: instance, rebalanceTimeoutMs: rebalanceMs,
      subscribedTopicNames: names, subscribedTopicRegex: regex, serverAssignor: assignor,
      topicPartitions: owned.map { $0.map { .init(topicId: $0, partitions: $1.sorted()) } })
    return consumerHeartbeat(request, version: version)
  }

  mutating func consumerHeartbeat(
    _ request: ConsumerGroupHeartbeatRequest, version: Int16 = 1
  ) -> ConsumerGroupHeartbeatResponse {
    let caller = HeartbeatCaller(clientId: "client", clientHost: "/127.0.0.1", newMemberId: "made-up")
    let (response, decision) = shard.heartbeat(request, version: version, from: caller, topics: topics, now: now)
    perform(decision)
    return response
  }

  func consumerGroup(_ groupId: String) -> ConsumerGroup? { shard.consumerGroups[groupId] }

  /// What the background does with expressions.
  mutating func resolvePatterns() {
    let queries = patternQueries
    patternQueries = []
    for query in queries {
      perform(shard.patternsMatched(query.matches(in: topics), topics: topics, now: now))
    }
  }

  func describeConsumerGroup(_ groupId: String) -> ConsumerGroupDescribeResponse.DescribedGroup {
    shard.describeConsumerGroup(groupId, topics: topics)
  }

  /// Nobody has what another has, by what the coordinator says; and replaying the journal gives the same groups.
  func checkConsumerGroups() throws {
    let replayed = try replayed()
    #expect(Set(replayed.consumerGroups.keys) == Set(shard.consumerGroups.keys))
    for (groupId, group) in shard.consumerGroups {
      var owners: [Uuid: [Int32: String]] = [:]
      for member in group.members.values {
        var partitions = member.placement.assigned
        partitions.formUnion(member.placement.pendingRevocation)
        for (topic, set) in partitions.topics {
          for partition in set {
            let other = owners[topic, default: [:]].updateValue(member.memberId, forKey: partition)
            #expect(other == nil, "\(member.memberId) and \(other ?? "") both have partition \(partition)")
          }
        }
      }
      #expect(group.index.owners == owners)
      let again = replayed.consumerGroups[groupId]
      #expect(again?.epoch == group.epoch)
      #expect(again?.metadataHash == group.metadataHash)
      #expect(again?.assignmentEpoch == group.assignmentEpoch)
      #expect(again?.members == group.members)
      #expect(again?.targets == group.targets)
      #expect(again?.resolvedPatterns == group.resolvedPatterns)
      #expect(again?.state == group.state)
      #expect(group.unreconciledCount == group.members.values.count { !$0.isReconciled(to: group.assignmentEpoch) })
      #expect(shard.classicGroups[groupId] == nil)
    }
  }
}

/// A consumer as clients are: it says all when it joins, then what has changed, and has what it was told last.
struct TestConsumer {
  let groupId: String
  var memberId: String
  var instance: String?
  var topics: [String]
  var regex: String?
  var rebalanceMs: Int32 = 60_000
  var epoch: Int32 = 0
  var owned: [Uuid: Set<Int32>] = [:]
  var lastError = ErrorCode.none
  /// It has something to acknowledge.
  private var isToldOfChange = false
  private var isSubscriptionNew = false

  init(
    _ groupId: String, _ memberId: String, instance: String? = nil, topics: [String] = ["orders"], regex: String? = nil
  ) {
    self.groupId = groupId
    self.memberId = memberId
    self.instance = instance
    self.topics = topics
    self.regex = regex
  }

  var partitionCount: Int { owned.values.reduce(0) { $0 + $1.count } }

  mutating func subscribe(to topics: [String]) {
    self.topics = topics
    isSubscriptionNew = true
  }

  /// - Parameter isLost: the answer does not arrive.
  mutating func heartbeat(_ stage: inout GroupStage, isLost: Bool = false) {
    let isJoining = epoch == 0
    if isJoining { owned = [:] }
    let response = stage.consumerHeartbeat(
      groupId, memberId, epoch: epoch, instance: instance,
      rebalanceMs: isJoining ? rebalanceMs : -1,
      topics: isJoining || isSubscriptionNew ? topics : nil,
      regex: isJoining ? regex : nil,
      owned: isJoining || isToldOfChange ? owned : nil)
    guard !isLost else {
      // After an error a client says everything.
      isToldOfChange = true
      return
    }
    lastError = ErrorCode(rawValue: response.errorCode)
    switch lastError {
    case .none:
      epoch = response.memberEpoch
      isSubscriptionNew = false
      isToldOfChange = false
      if let assignment = response.assignment {
        owned = assignment.topicPartitions.reduce(into: [:]) { $0[$1.topicId] = Set($1.partitions) }
        isToldOfChange = true
      }
    case .fencedMemberEpoch, .unknownMemberId, .groupIdNotFound:
      epoch = 0
      owned = [:]
    default:
      break
    }
  }

  mutating func leave(_ stage: inout GroupStage, forNow: Bool = false) {
    _ = stage.consumerHeartbeat(groupId, memberId, epoch: forNow ? -2 : -1, instance: instance)
    epoch = 0
    owned = [:]
  }
}

extension [TestConsumer] {
  /// All heartbeat until nothing changes any more.
  mutating func settle(_ stage: inout GroupStage, rounds: Int = 12) {
    for _ in 0..<rounds {
      for index in indices { self[index].heartbeat(&stage) }
    }
  }
}
