import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct ShareGroupKindTests {
  private let now = Moment(wallMs: 1_700_000_000_000, uptimeMs: 0)
  private let caller = HeartbeatCaller(clientId: "c", clientHost: "/h", newMemberId: "n")

  private func shareJoin(_ shard: inout GroupShard) -> ErrorCode {
    let request = ShareGroupHeartbeatRequest(groupId: "g", memberId: "m", subscribedTopicNames: ["t"])
    return ErrorCode(rawValue: shard.heartbeat(request, from: caller, topics: TopicImage(), now: now).0.errorCode)
  }

  private func consumerJoin(_ shard: inout GroupShard) -> ErrorCode {
    let request = ConsumerGroupHeartbeatRequest(
      groupId: "g", memberId: "m", rebalanceTimeoutMs: 1000, subscribedTopicNames: ["t"], topicPartitions: [])
    let answer = shard.heartbeat(request, version: 1, from: caller, topics: TopicImage(), now: now).0
    return ErrorCode(rawValue: answer.errorCode)
  }

  private func commit(_ shard: inout GroupShard) -> ErrorCode {
    let request = OffsetCommitRequest(
      groupId: "g", topics: [.init(name: "t", partitions: [.init(partitionIndex: 0, committedOffset: 1)])])
    let answer = shard.commit(request, version: 9, now: now).0
    return ErrorCode(rawValue: answer.topics[0].partitions[0].errorCode)
  }

  @Test func `an id of a share group is for no other protocol`() {
    var shard = GroupShard(config: GroupConfig())
    #expect(shareJoin(&shard) == .none)
    #expect(consumerJoin(&shard) == .groupIdNotFound)
    #expect(commit(&shard) == .groupIdNotFound)
    let fetched = shard.fetchOffsets(.init(groupId: "g", topics: nil))
    #expect(ErrorCode(rawValue: fetched.errorCode) == .groupIdNotFound)
    let deleted = shard.deleteOffsets(OffsetDeleteRequest(groupId: "g", topics: [])).0
    #expect(ErrorCode(rawValue: deleted.errorCode) == .groupIdNotFound)
    let transactional = shard.commit(
      TxnOffsetCommitRequest(groupId: "g", topics: [.init(name: "t", partitions: [.init()])]), now: now
    ).0
    #expect(ErrorCode(rawValue: transactional.topics[0].partitions[0].errorCode) == .groupIdNotFound)
    for memberId in ["", "m"] {
      let join = JoinGroupRequest(
        groupId: "g", sessionTimeoutMs: 10_000, memberId: memberId, protocolType: "consumer",
        protocols: [.init(name: "range")])
      let decision = shard.join(
        join, from: JoinCaller(version: 9, clientId: "c", clientHost: "/h", idSuffix: "n"),
        ticket: JoinTicket(id: 1), topics: TopicImage(), now: now)
      guard case .join(_, let answer)? = decision.answers.first else {
        Issue.record("there was no answer")
        return
      }
      #expect(ErrorCode(rawValue: answer.errorCode) == .inconsistentGroupProtocol)
    }
    #expect(shard.describe("g", version: 6).errorMessage == "Group g is not a classic group.")
    #expect(shard.describeConsumerGroup("g", topics: TopicImage()).errorMessage == "Group g is not a consumer group.")
    #expect(shard.list(states: [], types: []).map(\.groupType) == ["share"])
    #expect(shard.list(states: ["stable"], types: ["Share"]).map(\.groupId) == ["g"])
    #expect(shard.list(states: ["empty"], types: []).isEmpty)
    #expect(shard.list(states: [], types: ["consumer", "classic"]).isEmpty)
    #expect(shard.groupCount == 1)
  }

  @Test func `an id of another group is for no share group`() {
    var consumer = GroupShard(config: GroupConfig())
    #expect(consumerJoin(&consumer) == .none)
    var classic = GroupShard(config: GroupConfig())
    #expect(commit(&classic) == .none)
    for var shard in [consumer, classic] {
      #expect(shareJoin(&shard) == .groupIdNotFound)
      #expect(shard.describeShareGroup("g", topics: TopicImage()).errorMessage == "Group g is not a share group.")
      let altered = shard.alterOffsets(.init(groupId: "g"), topics: TopicImage(), now: now).0
      #expect(ErrorCode(rawValue: altered.errorCode) == .groupIdNotFound)
      #expect(shard.share.groups.isEmpty)
    }
  }

  @Test func `what no record could hold is refused`() {
    var shard = GroupShard(config: GroupConfig())
    let long = String(repeating: "x", count: 40_000)
    for request in [
      ShareGroupHeartbeatRequest(groupId: long, memberId: "m", subscribedTopicNames: ["t"]),
      ShareGroupHeartbeatRequest(groupId: "g", memberId: "m", rackId: long, subscribedTopicNames: ["t"]),
      ShareGroupHeartbeatRequest(
        groupId: "g", memberId: "m", subscribedTopicNames: (0..<20).map { "\(long)\($0)" }),
    ] {
      let answer = shard.heartbeat(request, from: caller, topics: TopicImage(), now: now).0
      #expect(ErrorCode(rawValue: answer.errorCode) == .invalidRequest)
    }
    let altered = shard.alterOffsets(.init(groupId: long), topics: TopicImage(), now: now).0
    #expect(ErrorCode(rawValue: altered.errorCode) == .invalidRequest)
    #expect(shard.groupCount == 0)
  }
}
