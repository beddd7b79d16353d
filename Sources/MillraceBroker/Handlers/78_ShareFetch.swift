// ShareFetch, key 78 (KIP-932): acknowledges records and acquires new ones, within a share session.
//
// v1 the first stable version   v2 acquire mode (KIP-1206), renewal of locks (KIP-1222)
//
// The acknowledgements are performed first, so that what they give back can be acquired by the same request; the answer
// goes out when they are durable and the fetch has something or has waited long enough. Ending the session (epoch -1)
// fetches nothing and gives back what the member holds. Neither does a request that renews locks fetch: waiting for
// records could take longer than the locks last.

import MillraceCoordination
import MillraceProtocol

struct ShareFetchHandler: Handler {
  func handle(_ request: ShareFetchRequest, _ context: RequestContext, _ reply: Reply<ShareFetchResponse>) {
    let broker = context.broker
    @Sendable func refuse(_ code: ErrorCode, _ message: String? = nil) {
      reply.send(ShareFetchResponse(errorCode: code.rawValue, errorMessage: message))
    }
    guard let session = ShareSessionKey(groupId: request.groupId, memberId: request.memberId) else {
      return refuse(.invalidRequest, ShareSessionKey.objection)
    }
    guard let mode = ShareAcquireMode(rawValue: request.shareAcquireMode) else {
      return refuse(.invalidRequest, "There is no acquire mode \(request.shareAcquireMode).")
    }
    if request.isRenewAck,
      request.maxBytes != 0 || request.minBytes != 0 || request.maxRecords != 0 || request.maxWaitMs != 0
    {
      return refuse(.invalidRequest, "A request that renews locks cannot fetch: all its limits have to be 0.")
    }
    let acknowledgements = ShareAcknowledgements(request)
    let config = broker.sharePartitions.config(ofGroup: session.groupId)
    let answer = ShareFetchAnswer(
      reply: reply, session: session, epoch: request.shareSessionEpoch,
      lockDurationMs: Int32(clamping: config.policy.recordLockDurationMs))
    let outcome = broker.sharePartitions.fetch(
      session, epoch: request.shareSessionEpoch, adding: request.partitions, forgetting: request.forgotten,
      hasAcknowledgements: !acknowledgements.isEmpty, on: context.connection)
    switch outcome {
    case .failure(.shareSessionLimitReached) where request.maxWaitMs > 0:
      // As a fetch that finds nothing, so that the member does not come back at once.
      broker.timers.schedule(after: .milliseconds(request.maxWaitMs)) { refuse(.shareSessionLimitReached) }
    case .failure(let refusal): refuse(refusal.errorCode)
    case .success(.final):
      answer.acknowledge(acknowledgements, allowsRenew: request.isRenewAck && config.allowsRenewal)
      broker.sharePartitions.close(session)
      answer.fetched(ShareFetchEvaluation())
    case .success(.fetch(let partitions)):
      answer.acknowledge(acknowledgements, allowsRenew: request.isRenewAck && config.allowsRenewal)
      if request.isRenewAck { return answer.fetched(ShareFetchEvaluation()) }
      let maxBytes = min(Int(max(0, request.maxBytes)), broker.configuration.fetchMaxBytes)
      let work = ShareFetchWork(
        context: context, session: session,
        targets: partitions.map { ShareFetchTarget($0, ofGroup: session.groupId, in: broker) },
        minBytes: min(Int(max(0, request.minBytes)), maxBytes), maxBytes: maxBytes,
        maxRecords: max(0, request.maxRecords), batchSize: max(1, request.batchSize), mode: mode,
        finish: { answer.fetched($0) })
      work.begin(maxWaitMs: request.maxWaitMs)
    }
  }
}

extension ShareSessionKey {
  /// As long as a Uuid in Kafka's long form.
  private static let mostMemberIdCharacters = 36
  static let objection =
    "A share session needs a group id, and a member id of 1 to \(mostMemberIdCharacters) characters."

  init?(groupId: String?, memberId: String?) {
    guard let groupId, !groupId.isEmpty, let memberId, !memberId.isEmpty,
      memberId.utf16.count <= Self.mostMemberIdCharacters
    else { return nil }
    self.init(groupId: groupId, memberId: memberId)
  }
}

extension ShareFetchRequest {
  fileprivate var partitions: [ShareTopicPartition] {
    topics.flatMap { topic in
      topic.partitions.map { ShareTopicPartition(topicId: topic.topicId, partition: $0.partitionIndex) }
    }
  }

  fileprivate var forgotten: [ShareTopicPartition] {
    forgottenTopicsData.flatMap { topic in
      topic.partitions.map { ShareTopicPartition(topicId: topic.topicId, partition: $0) }
    }
  }
}
