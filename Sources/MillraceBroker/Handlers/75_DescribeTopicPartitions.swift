// DescribeTopicPartitions, key 75 (KIP-966): topics in the order of their names, a page at a time. v0 flexible.

import MillraceCoordination
import MillraceProtocol

struct DescribeTopicPartitionsHandler: Handler {
  typealias Described = DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponseTopic

  func handle(
    _ request: DescribeTopicPartitionsRequest, _ context: RequestContext,
    _ reply: Reply<DescribeTopicPartitionsResponse>
  ) {
    if let cursor = request.cursor, cursor.partitionIndex < 0 {
      // The answer has no field for an error of the whole request.
      let topics = request.topics.map { Described(errorCode: ErrorCode.invalidRequest.rawValue, name: $0.name) }
      return reply.send(DescribeTopicPartitionsResponse(topics: topics))
    }
    let broker = context.broker
    let isEverything = request.topics.isEmpty
    var names =
      isEverything ? broker.topics.all.map(\.name).sorted() : Set(request.topics.map(\.name)).sorted()
    if let cursor = request.cursor { names.removeAll { $0 < cursor.topicName } }

    var remaining = max(
      1, min(Int(request.responsePartitionLimit), broker.configuration.maxPartitionsPerDescription))
    var response = DescribeTopicPartitionsResponse()
    for name in names {
      guard remaining > 0 else {
        response.nextCursor = .init(topicName: name, partitionIndex: 0)
        break
      }
      guard let topic = broker.topics.topic(named: name) else {
        // A topic that went away between two pages is not missed by who asked for all.
        if !isEverything { response.topics.append(Self.failure(name)) }
        continue
      }
      let first = request.cursor.map { $0.topicName == name ? Int($0.partitionIndex) : 0 } ?? 0
      let page = topic.partitions.dropFirst(first).prefix(remaining)
      response.topics.append(Self.describe(topic, page, broker.configuration.nodeId))
      remaining -= page.count
      if page.endIndex < topic.partitions.count {
        response.nextCursor = .init(topicName: name, partitionIndex: Int32(page.endIndex))
        break
      }
    }
    reply.send(response)
  }

  private static func describe(_ topic: Topic, _ page: ArraySlice<Partition>, _ nodeId: Int32) -> Described {
    let replicas = [nodeId]
    return Described(
      name: topic.name, topicId: topic.id, isInternal: topic.isInternal,
      partitions: page.map { partition in
        .init(
          partitionIndex: partition.index, leaderId: nodeId, leaderEpoch: partition.leaderEpoch,
          replicaNodes: replicas, isrNodes: replicas, eligibleLeaderReplicas: [], lastKnownElr: [])
      },
      topicAuthorizedOperations: AuthorizedOperations.topic)
  }

  private static func failure(_ name: String) -> Described {
    let code: ErrorCode = TopicName.objection(to: name) == nil ? .unknownTopicOrPartition : .invalidTopicException
    return Described(errorCode: code.rawValue, name: name, isInternal: TopicName.isInternal(name))
  }
}
