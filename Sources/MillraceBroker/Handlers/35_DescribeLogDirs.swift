// DescribeLogDirs, key 35 (KIP-113). v2 flexible   v3 top-level error   v4 total and usable bytes (KIP-827).

import MillraceCoordination
import MillraceLog
import MillraceProtocol

struct DescribeLogDirsHandler: Handler {
  func handle(_ request: DescribeLogDirsRequest, _ context: RequestContext, _ reply: Reply<DescribeLogDirsResponse>) {
    let wanted = request.topics.map { topics in
      Dictionary(topics.map { ($0.topic, Set($0.partitions)) }, uniquingKeysWith: { $0.union($1) })
    }
    let results = context.broker.store.describe().map { directory in
      var topics: [String: [DescribeLogDirsResponse.DescribeLogDirsPartition]] = [:]
      // The metadata journal is no topic, as in Kafka.
      for (id, log) in directory.partitions where id.topic != TopicName.clusterMetadata {
        guard wanted?[id.topic]?.contains(id.partition) ?? (wanted == nil) else { continue }
        topics[id.topic, default: []].append(
          .init(partitionIndex: id.partition, partitionSize: log.sizeInBytes, offsetLag: 0, isFutureKey: false))
      }
      return DescribeLogDirsResponse.DescribeLogDirsResult(
        errorCode: ErrorCode.none.rawValue, logDir: directory.path,
        topics: topics.sorted { $0.key < $1.key }.map { topic in
          .init(name: topic.key, partitions: topic.value.sorted { $0.partitionIndex < $1.partitionIndex })
        },
        totalBytes: directory.space?.totalBytes ?? -1, usableBytes: directory.space?.usableBytes ?? -1)
    }
    reply.send(DescribeLogDirsResponse(results: results))
  }
}
