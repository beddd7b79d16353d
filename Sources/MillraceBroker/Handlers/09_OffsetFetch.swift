// OffsetFetch, key 9. v0 went with Kafka 4.0.
//
// v2 all topics (null); one error for the group   v3 throttle time   v5 leader epoch (KIP-320)   v6 flexible
// v7 requireStable (KIP-447)   v8 several groups (KIP-709)   v9 member id and epoch, for consumer groups (KIP-848)
// v10 topics by id (KIP-848)
//
// Answers wait until what they say is durable. With requireStable an offset that an open transaction is about to move
// is not told: UNSTABLE_OFFSET_COMMIT, and the client asks again.

import MillraceProtocol

struct OffsetFetchHandler: Handler {
  typealias Asked = OffsetFetchRequest.OffsetFetchRequestGroup
  typealias Answered = OffsetFetchResponse.OffsetFetchResponseGroup
  typealias Topic = OffsetFetchResponse.OffsetFetchResponseTopics

  func handle(_ request: OffsetFetchRequest, _ context: RequestContext, _ reply: Reply<OffsetFetchResponse>) {
    let groups = request.asGroups(version: context.version)
    let gathering = Gathering<Answered>(count: groups.count) { answers in
      reply.send(OffsetFetchResponse(answers, version: context.version))
    }
    for (index, asked) in groups.enumerated() {
      let (known, unknown) = context.version >= 10 ? Self.resolve(asked, context.broker.topics) : (asked, [])
      context.broker.groups.fetchOffsets(known, requireStable: request.requireStable) { outcome in
        switch outcome {
        case .success(let answer) where answer.errorCode != ErrorCode.none.rawValue:
          gathering.put(answer, at: index)
        case .success(var answer):
          answer.topics += unknown
          if context.version >= 10 { answer.addTopicIds(context.broker.topics) }
          gathering.put(answer, at: index)
        case .failure(let error):
          gathering.put(Answered(refusing: asked, error, version: context.version), at: index)
        }
      }
    }
  }

  /// Names for ids. A topic that is unknown by its id is answered for here.
  private static func resolve(_ asked: Asked, _ topics: TopicTable) -> (known: Asked, unknown: [Topic]) {
    guard let wanted = asked.topics else { return (asked, []) }
    var known: [OffsetFetchRequest.OffsetFetchRequestTopics] = []
    var unknown: [Topic] = []
    for var topic in wanted {
      if let found = topics.topic(id: topic.topicId) {
        topic.name = found.name
        known.append(topic)
      } else {
        unknown.append(Topic(topic, .unknownTopicId))
      }
    }
    var resolved = asked
    resolved.topics = known
    return (resolved, unknown)
  }
}

extension OffsetFetchRequest {
  /// Up to v7 the request is about one group and has its fields at the top. Of two entries about one group the first
  /// counts: a few bytes can ask for all offsets of a group, and must not ask for them many times.
  fileprivate func asGroups(version: Int16) -> [OffsetFetchRequestGroup] {
    if version >= 8 {
      return groups.eachOnce(by: \.groupId)
    }
    return [
      OffsetFetchRequestGroup(
        groupId: groupId,
        topics: topics?.map { OffsetFetchRequestTopics(name: $0.name, partitionIndexes: $0.partitionIndexes) })
    ]
  }
}

extension OffsetFetchResponse {
  fileprivate init(_ groups: [OffsetFetchResponseGroup], version: Int16) {
    self.init()
    if version >= 8 {
      self.groups = groups
      return
    }
    guard let group = groups.first else { return }
    errorCode = group.errorCode
    topics = group.topics.map { topic in
      OffsetFetchResponseTopic(
        name: topic.name,
        partitions: topic.partitions.map {
          OffsetFetchResponsePartition(
            partitionIndex: $0.partitionIndex, committedOffset: $0.committedOffset,
            committedLeaderEpoch: $0.committedLeaderEpoch, metadata: $0.metadata, errorCode: $0.errorCode)
        })
    }
  }
}

extension OffsetFetchResponse.OffsetFetchResponseGroup {
  /// v1 has no place for an error but the partitions.
  fileprivate init(refusing asked: OffsetFetchRequest.OffsetFetchRequestGroup, _ error: ErrorCode, version: Int16) {
    self.init(groupId: asked.groupId)
    if version >= 2 {
      errorCode = error.rawValue
    } else {
      topics = (asked.topics ?? []).map { OffsetFetchResponse.OffsetFetchResponseTopics($0, error) }
    }
  }

  /// Asked for everything, the group knows topics by name. One that is gone has no id any more and is left out.
  fileprivate mutating func addTopicIds(_ table: TopicTable) {
    topics = topics.compactMap { topic in
      var topic = topic
      if topic.topicId == .zero {
        guard let found = table.topic(named: topic.name) else { return nil }
        topic.topicId = found.id
      }
      return topic
    }
  }
}

extension OffsetFetchResponse.OffsetFetchResponseTopics {
  fileprivate init(_ asked: OffsetFetchRequest.OffsetFetchRequestTopics, _ error: ErrorCode) {
    self.init(
      name: asked.name, topicId: asked.topicId,
      partitions: asked.partitionIndexes.map {
        .init(
          partitionIndex: $0, committedOffset: -1, committedLeaderEpoch: -1, metadata: "", errorCode: error.rawValue)
      })
  }
}
