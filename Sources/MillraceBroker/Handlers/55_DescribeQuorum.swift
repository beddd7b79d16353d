// DescribeQuorum, key 55 (KIP-595). v1 times of replicas (KIP-836)   v2 nodes, directories, messages (KIP-853).
//
// The quorum of the metadata journal is this broker alone: its leader and only voter.

import MillraceCoordination
import MillraceProtocol

struct DescribeQuorumHandler: Handler {
  func handle(_ request: DescribeQuorumRequest, _ context: RequestContext, _ reply: Reply<DescribeQuorumResponse>) {
    let topics = request.topics.map { topic in
      DescribeQuorumResponse.TopicData(
        topicName: topic.topicName,
        partitions: topic.partitions.map { Self.describe(topic.topicName, $0.partitionIndex, context) })
    }
    let broker = context.broker
    let endpoint = broker.advertised.endpoint(for: context.connection.listener)
    let node = DescribeQuorumResponse.Node(
      nodeId: broker.configuration.nodeId,
      listeners: [
        .init(name: context.connection.listener, host: endpoint.host, port: UInt16(clamping: endpoint.port))
      ])
    reply.send(DescribeQuorumResponse(topics: topics, nodes: [node]))
  }

  private static func describe(
    _ topic: String, _ index: Int32, _ context: RequestContext
  ) -> DescribeQuorumResponse.PartitionData {
    guard topic == TopicName.clusterMetadata, index == 0, let offsets = context.broker.catalog.journalOffsets else {
      return .init(
        partitionIndex: index, errorCode: ErrorCode.unknownTopicOrPartition.rawValue,
        errorMessage: "Only \(TopicName.clusterMetadata)-0 has a quorum.")
    }
    let nodeId = context.broker.configuration.nodeId
    // The leader is caught up with itself at any time.
    let voter = DescribeQuorumResponse.ReplicaState(
      replicaId: nodeId, logEndOffset: offsets.logEndOffset, lastFetchTimestamp: context.receivedMs,
      lastCaughtUpTimestamp: context.receivedMs)
    return .init(
      partitionIndex: 0, leaderId: nodeId, leaderEpoch: CatalogRuntime.journalLeaderEpoch,
      highWatermark: offsets.highWatermark, currentVoters: [voter])
  }
}
