// The answer to a ShareFetch, made of the two halves of the request: the outcome of its acknowledgements, and what was
// acquired. They come in any order and on any thread.

import MillraceCoordination
import MillraceLog
import MillraceProtocol
import NIOCore

struct ShareFetchAnswer: Sendable {
  private enum Half: Sendable {
    case acknowledged([ShareAcknowledgements.Outcome])
    /// Nil when nobody is there to be answered.
    case fetched(ShareFetchEvaluation?)
  }

  private typealias PartitionData = ShareFetchResponse.PartitionData

  private let context: RequestContext
  private let session: ShareSessionKey
  private let halves: Gathering<Half>

  init(reply: Reply<ShareFetchResponse>, session: ShareSessionKey, epoch: Int32, lockDurationMs: Int32) {
    let context = reply.context
    self.context = context
    self.session = session
    halves = Gathering(count: 2) { halves in
      guard case .acknowledged(let outcomes) = halves[0], case .fetched(let evaluation?) = halves[1] else {
        return reply.sendNothing()
      }
      var results = evaluation.results
      if epoch != ShareSessionEpoch.initial { results = context.broker.sharePartitions.select(results, for: session) }
      Self.send(results, outcomes, lockDurationMs, reply)
    }
  }

  func acknowledge(_ acknowledgements: ShareAcknowledgements, allowsRenew: Bool) {
    acknowledgements.perform(by: session, allowsRenew: allowsRenew, in: context.broker) { [halves] outcomes in
      halves.put(.acknowledged(outcomes), at: 0)
    }
  }

  func fetched(_ evaluation: ShareFetchEvaluation?) { halves.put(.fetched(evaluation), at: 1) }

  private static func send(
    _ results: [ShareFetchResult], _ outcomes: [ShareAcknowledgements.Outcome], _ lockDurationMs: Int32,
    _ reply: Reply<ShareFetchResponse>
  ) {
    var response = ShareFetchResponse(acquisitionLockTimeoutMs: lockDurationMs)
    var plans: [ReadPlan] = []
    var acknowledged = Dictionary(outcomes.map { ($0.key, $0.error) }, uniquingKeysWith: { _, last in last })
    func add(_ key: ShareTopicPartition, _ data: PartitionData) {
      var data = data
      if let error = acknowledged.removeValue(forKey: key) { data.acknowledgeErrorCode = error.rawValue }
      let leader =
        ShareLeader(after: ErrorCode(rawValue: data.errorCode), of: key, in: reply.context)
        ?? ShareLeader(after: ErrorCode(rawValue: data.acknowledgeErrorCode), of: key, in: reply.context)
      if let leader {
        data.currentLeader = .init(leaderId: leader.id, leaderEpoch: leader.epoch)
        response.nodeEndpoints = [
          .init(nodeId: leader.id, host: leader.endpoint.host, port: leader.endpoint.port, rack: leader.rack)
        ]
      }
      if response.responses.last?.topicId == key.topicId {
        response.responses[response.responses.count - 1].partitions.append(data)
      } else {
        response.responses.append(.init(topicId: key.topicId, partitions: [data]))
      }
    }
    for result in results {
      var data = PartitionData(
        partitionIndex: result.key.partition, errorCode: result.error.rawValue, records: .bytes(ByteBuffer()),
        acquiredRecords: result.acquired.map(\.message))
      if let plan = result.plan {
        data.records = .splice(id: plans.count, byteCount: plan.byteCount)
        plans.append(plan)
      }
      add(result.key, data)
    }
    for outcome in outcomes where acknowledged[outcome.key] != nil {
      add(outcome.key, PartitionData(partitionIndex: outcome.key.partition, records: .bytes(ByteBuffer())))
    }
    reply.send(response, splicing: plans)
  }
}

/// Whom a member is to turn to when it was told that its leader is not the leader: to this broker, under what is now true
/// of the partition.
struct ShareLeader {
  let id: Int32
  let epoch: Int32
  let endpoint: AdvertisedListeners.Endpoint
  let rack: String?

  init?(after error: ErrorCode, of key: ShareTopicPartition, in context: RequestContext) {
    guard error == .notLeaderOrFollower || error == .fencedLeaderEpoch,
      let partition = context.broker.topics.topic(id: key.topicId)?.partition(key.partition)
    else { return nil }
    id = context.broker.configuration.nodeId
    epoch = partition.leaderEpoch
    endpoint = context.broker.advertised.endpoint(for: context.connection.listener)
    rack = context.broker.configuration.rack
  }
}
