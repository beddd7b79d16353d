// AlterPartitionReassignments, key 45 (KIP-455). v0 flexible   v1 whether the number of replicas may change (KIP-860).
//
// There is one broker, so the only replicas a partition can be given are those that it has.

import MillraceProtocol

struct AlterPartitionReassignmentsHandler: Handler {
  func handle(
    _ request: AlterPartitionReassignmentsRequest, _ context: RequestContext,
    _ reply: Reply<AlterPartitionReassignmentsResponse>
  ) {
    let responses = request.topics.map { asked in
      let topic = context.broker.topics.topic(named: asked.name)
      return AlterPartitionReassignmentsResponse.ReassignableTopicResponse(
        name: asked.name, partitions: asked.partitions.map { Self.outcome($0, of: topic, asked.name, context.broker) })
    }
    reply.send(
      AlterPartitionReassignmentsResponse(
        allowReplicationFactorChange: request.allowReplicationFactorChange, responses: responses))
  }

  private static func outcome(
    _ asked: AlterPartitionReassignmentsRequest.ReassignablePartition, of topic: Topic?, _ name: String,
    _ broker: Broker
  ) -> AlterPartitionReassignmentsResponse.ReassignablePartitionResponse {
    func answer(
      _ code: ErrorCode, _ message: String?
    ) -> AlterPartitionReassignmentsResponse.ReassignablePartitionResponse {
      .init(partitionIndex: asked.partitionIndex, errorCode: code.rawValue, errorMessage: message)
    }
    guard topic?.partition(asked.partitionIndex) != nil else {
      return answer(.unknownTopicOrPartition, "There is no partition \(name)-\(asked.partitionIndex).")
    }
    guard let replicas = asked.replicas else {
      return answer(.noReassignmentInProgress, "The partition is not being moved.")
    }
    let nodeId = broker.configuration.nodeId
    if replicas == [nodeId] { return answer(.none, nil) }
    return answer(
      .invalidReplicaAssignment, "The only possible replica is \(nodeId): this cluster is that broker alone.")
  }
}
