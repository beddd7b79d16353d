// DescribeProducers, key 61 (KIP-664): who writes into a partition, and whose transaction is open there.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

struct DescribeProducersHandler: Handler {
  typealias Answer = DescribeProducersResponse.PartitionResponse

  func handle(
    _ request: DescribeProducersRequest, _ context: RequestContext, _ reply: Reply<DescribeProducersResponse>
  ) {
    var named = NamedPartitions()
    let topics = request.topics.map { asked in
      let topic = context.broker.topics.topic(named: asked.name)
      return DescribeProducersResponse.TopicResponse(
        name: asked.name,
        partitions: named.new(asked.partitionIndexes, of: asked.name).map { Self.describe($0, of: topic, asked.name) })
    }
    reply.send(DescribeProducersResponse(topics: topics))
  }

  private static func describe(_ index: Int32, of topic: Topic?, _ name: String) -> Answer {
    func failure(_ error: ErrorCode, _ message: String? = nil) -> Answer {
      Answer(partitionIndex: index, errorCode: error.rawValue, errorMessage: message)
    }
    if let problem = TopicName.objection(to: name) { return failure(.invalidTopicException, problem) }
    guard let partition = topic?.partition(index) else { return failure(.unknownTopicOrPartition) }
    do throws(LogError) {
      let producers = try partition.log.activeProducers().sorted { $0.producerId < $1.producerId }
      return Answer(
        partitionIndex: index,
        activeProducers: producers.map { producer in
          .init(
            producerId: producer.producerId, producerEpoch: Int32(producer.epoch),
            lastSequence: producer.lastSequence, lastTimestamp: producer.lastTimestamp,
            coordinatorEpoch: producer.coordinatorEpoch,
            currentTxnStartOffset: producer.currentTransactionStartOffset)
        })
    } catch {
      return failure(ErrorCode(error))
    }
  }
}
