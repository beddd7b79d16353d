// ShareAcknowledge, key 79 (KIP-932): acknowledges records without fetching, within a share session that a ShareFetch has
// opened. Ending the session (epoch -1) gives back what the member still holds.
//
// v1 the first stable version   v2 renewal of locks, and how long they last (KIP-1222)

import MillraceCoordination
import MillraceProtocol

struct ShareAcknowledgeHandler: Handler {
  func handle(
    _ request: ShareAcknowledgeRequest, _ context: RequestContext, _ reply: Reply<ShareAcknowledgeResponse>
  ) {
    let broker = context.broker
    func refuse(_ code: ErrorCode, _ message: String? = nil) {
      reply.send(ShareAcknowledgeResponse(errorCode: code.rawValue, errorMessage: message))
    }
    guard let session = ShareSessionKey(groupId: request.groupId, memberId: request.memberId) else {
      return refuse(.invalidRequest, ShareSessionKey.objection)
    }
    let outcome = broker.sharePartitions.acknowledge(session, epoch: request.shareSessionEpoch)
    guard case .success(let wish) = outcome else {
      if case .failure(let refusal) = outcome { refuse(refusal.errorCode) }
      return
    }
    let config = broker.sharePartitions.config(ofGroup: session.groupId)
    ShareAcknowledgements(request).perform(
      by: session, allowsRenew: request.isRenewAck && config.allowsRenewal, in: broker
    ) { outcomes in
      var response = ShareAcknowledgeResponse(
        acquisitionLockTimeoutMs: Int32(clamping: config.policy.recordLockDurationMs))
      for outcome in outcomes {
        var data = ShareAcknowledgeResponse.PartitionData(
          partitionIndex: outcome.key.partition, errorCode: outcome.error.rawValue)
        if let leader = ShareLeader(after: outcome.error, of: outcome.key, in: context) {
          data.currentLeader = .init(leaderId: leader.id, leaderEpoch: leader.epoch)
          response.nodeEndpoints = [
            .init(nodeId: leader.id, host: leader.endpoint.host, port: leader.endpoint.port, rack: leader.rack)
          ]
        }
        if response.responses.last?.topicId == outcome.key.topicId {
          response.responses[response.responses.count - 1].partitions.append(data)
        } else {
          response.responses.append(.init(topicId: outcome.key.topicId, partitions: [data]))
        }
      }
      reply.send(response)
    }
    if wish == .final { broker.sharePartitions.close(session) }
  }
}
