// DescribeShareGroupOffsets, key 90 (KIP-932). v1 lag (KIP-1226): records from the start offset on that are not
// finished. A share-partition without state has start offset -1, which is no error, as with OffsetFetch.

import MillraceCoordination
import MillraceProtocol

struct DescribeShareGroupOffsetsHandler: Handler {
  typealias Group = DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponseGroup
  typealias Topic = DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponseTopic
  typealias Partition = DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponsePartition

  private static let unknown: Int64 = -1

  func handle(
    _ request: DescribeShareGroupOffsetsRequest, _ context: RequestContext,
    _ reply: Reply<DescribeShareGroupOffsetsResponse>
  ) {
    let groups = request.groups.eachOnce(by: \.groupId)
    let gathering = Gathering<Group>(count: groups.count) { groups in
      context.connection.execute { reply.send(DescribeShareGroupOffsetsResponse(groups: groups)) }
    }
    for (index, asked) in groups.enumerated() {
      Self.describe(asked, context.broker) { gathering.put($0, at: index) }
    }
  }

  private static func describe(
    _ asked: DescribeShareGroupOffsetsRequest.DescribeShareGroupOffsetsRequestGroup, _ broker: Broker,
    _ answer: @escaping @Sendable (Group) -> Void
  ) {
    let groupId = asked.groupId
    let refuse = { @Sendable (error: ErrorCode) in
      answer(Group(groupId: groupId, errorCode: error.rawValue, errorMessage: error.message))
    }
    guard broker.servesShareGroups else { return refuse(.unsupportedVersion) }
    if let topics = asked.topics {
      return describe(
        topics.map {
          (topic: broker.topics.topic(named: $0.topicName), name: $0.topicName, partitions: $0.partitions)
        }, of: groupId, broker, answer)
    }
    broker.groups.initializedPartitions(ofShareGroup: groupId) { result in
      switch result {
      case .failure(let error): refuse(error)
      case .success(let partitions):
        let topics = partitions.sorted.compactMap { id, indices in
          broker.topics.topic(id: id).map { (topic: Optional($0), name: $0.name, partitions: indices) }
        }
        describe(topics, of: groupId, broker, answer)
      }
    }
  }

  private static func describe(
    _ topics: [(topic: MillraceBroker.Topic?, name: String, partitions: [Int32])], of groupId: String,
    _ broker: Broker, _ answer: @escaping @Sendable (Group) -> Void
  ) {
    let gathering = Gathering<Partition>(count: topics.reduce(0) { $0 + $1.partitions.count }) { partitions in
      var rest = partitions[...]
      answer(
        Group(
          groupId: groupId,
          topics: topics.map { topic, name, indices in
            defer { rest = rest.dropFirst(indices.count) }
            return Topic(
              topicName: name, topicId: topic?.id ?? .zero, partitions: Array(rest.prefix(indices.count)))
          }))
    }
    var place = 0
    for (topic, _, indices) in topics {
      for index in indices {
        let put = { @Sendable [place] (partition: Partition) in gathering.put(partition, at: place) }
        place += 1
        guard let partition = topic?.partition(index), let topic else {
          put(Partition(partitionIndex: index, startOffset: unknown, lag: unknown))
          continue
        }
        broker.shareState.summary(ShareStateKey(groupId: groupId, topicId: topic.id, partition: index)) { result in
          guard case .success(let summary) = result else {
            return put(Partition(partitionIndex: index, startOffset: unknown, lag: unknown))
          }
          let isKnown = summary.startOffset != unknown && summary.deliveryCompleteCount != -1
          let end = partition.log.offsets.highWatermark
          put(
            Partition(
              partitionIndex: index, startOffset: summary.startOffset, leaderEpoch: summary.leaderEpoch,
              lag: isKnown ? max(0, end - summary.startOffset - Int64(summary.deliveryCompleteCount)) : unknown))
        }
      }
    }
  }
}
