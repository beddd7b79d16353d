// AlterReplicaLogDirs, key 34 (KIP-113). v2 flexible.
//
// Partitions stay in the data directory they were made in: asking for that one is granted, for another one refused.

import MillraceLog
import MillraceProtocol

struct AlterReplicaLogDirsHandler: Handler {
  func handle(
    _ request: AlterReplicaLogDirsRequest, _ context: RequestContext, _ reply: Reply<AlterReplicaLogDirsResponse>
  ) {
    let topics = context.broker.topics
    let directories = Dictionary(
      context.broker.store.describe().map { ($0.path, Set($0.partitions.keys)) },
      uniquingKeysWith: { $0.union($1) })
    var results: [String: [AlterReplicaLogDirsResponse.AlterReplicaLogDirPartitionResult]] = [:]
    for directory in request.dirs {
      for topic in directory.topics {
        for index in topic.partitions {
          let code: ErrorCode
          if let here = directories[directory.path] {
            let isKnown = topics.topic(named: topic.name)?.partition(index) != nil
            let isHere = here.contains(PartitionID(topic: topic.name, partition: index))
            code = isKnown ? (isHere ? .none : .invalidRequest) : .unknownTopicOrPartition
          } else {
            code = .logDirNotFound
          }
          results[topic.name, default: []].append(.init(partitionIndex: index, errorCode: code.rawValue))
        }
      }
    }
    reply.send(
      AlterReplicaLogDirsResponse(
        results: results.sorted { $0.key < $1.key }.map { .init(topicName: $0.key, partitions: $0.value) }))
  }
}
