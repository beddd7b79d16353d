// What the five APIs of share group state have in common: each asks the share coordinator about every partition that
// it names, and gathers the answers by topic.

import MillraceCoordination
import MillraceProtocol

enum ShareStateQuery {
  typealias Topics<Partition> = [(topicId: Uuid, partitions: [Partition])]

  /// As in Kafka, a request that leaves out the group, the topics or the partitions of one is answered with nothing.
  static func ask<Asked, Answer: Sendable>(
    _ topics: Topics<Asked>, ofGroup groupId: String, index: (Asked) -> Int32, _ context: RequestContext,
    _ ask: (ShareStateKey, Asked, @escaping @Sendable (Answer) -> Void) -> Void,
    then: @escaping @Sendable (Topics<Answer>) -> Void
  ) {
    var named: Set<ShareStateKey> = []
    func key(_ topicId: Uuid, _ partition: Asked) -> ShareStateKey {
      ShareStateKey(groupId: groupId, topicId: topicId, partition: index(partition))
    }
    guard !groupId.isEmpty, topics.allSatisfy({ !$0.partitions.isEmpty }) else { return then([]) }
    // What is named again is not answered again: a short request could ask for an answer of any length.
    let topics = topics.map { topic in
      (
        topicId: topic.topicId,
        partitions: topic.partitions.filter { named.insert(key(topic.topicId, $0)).inserted }
      )
    }
    let shape = topics.map { (topicId: $0.topicId, count: $0.partitions.count) }
    let connection = context.connection
    let gathering = Gathering<Answer>(count: topics.reduce(0) { $0 + $1.partitions.count }) { answers in
      // Not on the thread that makes the journal durable: others wait for it.
      connection.execute {
        var rest = answers[...]
        then(
          shape.map { topic in
            defer { rest = rest.dropFirst(topic.count) }
            return (topic.topicId, Array(rest.prefix(topic.count)))
          })
      }
    }
    var place = 0
    for topic in topics {
      for partition in topic.partitions {
        ask(key(topic.topicId, partition), partition) { [place] in gathering.put($0, at: place) }
        place += 1
      }
    }
  }
}

extension RequestContext {
  /// Why there cannot be state of the share-partition: INVALID_REQUEST, UNKNOWN_TOPIC_OR_PARTITION.
  func refusal(of key: ShareStateKey) -> ErrorCode? {
    if key.partition < 0 { return .invalidRequest }
    return broker.topics.topic(id: key.topicId)?.partition(key.partition) == nil ? .unknownTopicOrPartition : nil
  }
}

extension ErrorCode {
  /// The text that goes with the code in an answer.
  var message: String? { self == .none ? nil : name }
}
