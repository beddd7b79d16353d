// ElectLeaders, key 43 (KIP-183, KIP-460). v1 the kind of election   v2 flexible.
//
// The one broker leads every partition, so no election is ever needed; who asks for all partitions is told only of
// those that needed one, as in Kafka.

import MillraceProtocol

struct ElectLeadersHandler: Handler {
  private static let kinds: ClosedRange<Int8> = 0...1

  func handle(_ request: ElectLeadersRequest, _ context: RequestContext, _ reply: Reply<ElectLeadersResponse>) {
    guard Self.kinds.contains(request.electionType) else {
      return reply.send(ElectLeadersResponse(errorCode: ErrorCode.invalidRequest.rawValue))
    }
    guard let asked = request.topicPartitions else { return reply.send(ElectLeadersResponse()) }
    let results = asked.map { topic in
      let known = context.broker.topics.topic(named: topic.topic)
      return ElectLeadersResponse.ReplicaElectionResult(
        topic: topic.topic,
        partitionResult: topic.partitions.map { index in
          guard known?.partition(index) != nil else {
            return .init(
              partitionId: index, errorCode: ErrorCode.unknownTopicOrPartition.rawValue,
              errorMessage: "There is no partition \(topic.topic)-\(index).")
          }
          return .init(
            partitionId: index, errorCode: ErrorCode.electionNotNeeded.rawValue,
            errorMessage: "Broker \(context.broker.configuration.nodeId) leads the partition already.")
        })
    }
    reply.send(ElectLeadersResponse(replicaElectionResults: results))
  }
}
