// A consumer as a member of a group of the consumer protocol (KIP-848): its heartbeats, and what happens between two
// batches when partitions come and go.

import Logging
import MillraceProtocol
import NIOCore

struct ConsumerGroupReader: GroupReader {
  private static let firstVersionWithPatterns: Int16 = 1

  let group: String
  let configuration: ConsumerConfiguration
  let cluster: Cluster
  let fetcher: Fetcher
  let committer: OffsetCommitter

  var busySince: NIODeadline? { fetcher.busySince }
  var idle: Signal { fetcher.idle }
  func tryHold() -> Bool { fetcher.tryHold() }
  func letGo() { fetcher.letGo() }

  func become(memberId: String, epoch: Int32) {
    committer.use(
      GroupIdentity(
        group: group, generation: epoch, memberId: memberId, groupInstanceId: configuration.groupInstanceId))
  }

  func release(_ partitions: [TopicPartition], remaining: [TopicPartition], isLost: Bool) async {
    if !isLost, configuration.autoCommitInterval != nil {
      await committer.commitCompleted(until: .now + configuration.client.requestTimeout)
    }
    await configuration.onRebalance?(isLost ? .lost(partitions) : .revoked(partitions))
    read(remaining)
  }

  func adopt(_ partitions: [TopicPartition], all: [TopicPartition]) async {
    await configuration.onRebalance?(.assigned(partitions))
    read(all)
  }

  func finish(_ partitions: [TopicPartition]) async {
    guard !partitions.isEmpty else { return }
    await committer.finish()
    await configuration.onRebalance?(.revoked(partitions))
    read([])
  }

  func fail(_ error: KafkaError) { fetcher.fail(error) }

  /// What is read already goes on where it is.
  private func read(_ partitions: [TopicPartition]) {
    fetcher.assign(Dictionary(partitions.map { ($0, .committed) }, uniquingKeysWith: { first, _ in first }))
  }

  func send(
    _ heartbeat: HeartbeatMembership.Heartbeat
  ) async throws(KafkaError) -> HeartbeatMembership.Answer {
    let group = group
    let response: ConsumerGroupHeartbeatResponse
    do throws(KafkaError) {
      response = try await cluster.attempt(to: .coordinator(.group(group)), on: .group) { version throws(KafkaError) in
        if case .pattern? = heartbeat.subscription, version < Self.firstVersionWithPatterns {
          throw KafkaError(
            .unsupportedVersion, "the broker cannot subscribe to topics by a pattern; name the topics instead")
        }
        return ConsumerGroupHeartbeatRequest(heartbeat, group: group)
      }
    } catch {
      guard error.code == .unsupportedVersion else { throw error }
      throw error.adding("groups of the consumer protocol are KIP-848; without it set groupProtocol to .classic")
    }
    return HeartbeatMembership.Answer(response)
  }
}

extension ConsumerGroupHeartbeatRequest {
  init(_ heartbeat: HeartbeatMembership.Heartbeat, group: String) {
    self.init(
      groupId: group, memberId: heartbeat.memberId, memberEpoch: heartbeat.epoch,
      instanceId: heartbeat.groupInstanceId, rackId: heartbeat.rack,
      rebalanceTimeoutMs: heartbeat.rebalanceTimeout?.clampedMilliseconds ?? -1,
      serverAssignor: heartbeat.assignor,
      topicPartitions: heartbeat.owned?.map { .init(topicId: $0.key, partitions: $0.value) })
    // An empty pattern ends one of before.
    switch heartbeat.subscription {
    case .topics(let names)?: (subscribedTopicNames, subscribedTopicRegex) = (names.sorted(), "")
    case .pattern(let pattern)?: (subscribedTopicNames, subscribedTopicRegex) = ([], pattern)
    case nil: break
    }
  }
}

extension HeartbeatMembership.Answer {
  fileprivate init(_ response: ConsumerGroupHeartbeatResponse) {
    self.init(
      error: ErrorCode(rawValue: response.errorCode), message: response.errorMessage, memberId: response.memberId,
      epoch: response.memberEpoch, interval: .milliseconds(Int64(response.heartbeatIntervalMs)),
      assignment: response.assignment.map { assignment in
        Dictionary(assignment.topicPartitions.map { ($0.topicId, $0.partitions) }, uniquingKeysWith: +)
      })
  }
}

extension TimeAmount {
  /// For a field of milliseconds: at least 0, at most what the field holds.
  var clampedMilliseconds: Int32 { Int32(clamping: max(0, nanoseconds / 1_000_000)) }
}
