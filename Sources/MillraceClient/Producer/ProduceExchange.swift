// One Produce request and its answer: which batch is where in the message, by topic name or since version 13 by topic id
// (KIP-516).

import MillraceProtocol
import MillraceRecords
import NIOCore

struct ProduceExchange: Sendable {
  struct Part: Sendable {
    var queue: Int
    var id: UInt64
    var topic: String
    var topicId: Uuid
    var partition: Int32
    var sealed: SealedBatch
    var recordCount: Int32
    var isRetry: Bool

    init(_ batch: OutgoingBatch, _ sealed: SealedBatch) {
      queue = batch.queue
      id = batch.id
      topic = batch.topic
      topicId = batch.topicId
      partition = batch.partition
      recordCount = batch.recordCount
      isRetry = batch.sealed != nil
      self.sealed = sealed
    }
  }

  private static let lastVersionByName: Int16 = 12

  var parts: [Part] = []
  var transactionalId: String?
  /// The newest version that goes with the version of transactions.
  var versionLimit: Int16 = .max

  var payloads: [ByteBuffer] { parts.map(\.sealed.bytes) }

  /// Topics go by id only if all ids are known.
  var newestVersion: Int16 {
    parts.contains { $0.topicId == .zero } ? min(Self.lastVersionByName, versionLimit) : versionLimit
  }

  func request(version: Int16, acks: Acks, timeoutMs: Int32) -> ProduceRequest {
    var request = ProduceRequest(transactionalId: transactionalId, acks: acks.rawValue, timeoutMs: timeoutMs)
    var places: [String: Int] = [:]
    for (index, part) in parts.enumerated() {
      let place: Int
      if let known = places[part.topic] {
        place = known
      } else {
        place = request.topicData.count
        places[part.topic] = place
        request.topicData.append(
          version > Self.lastVersionByName ? .init(topicId: part.topicId) : .init(name: part.topic))
      }
      request.topicData[place].partitionData.append(
        .init(index: part.partition, records: .splice(id: index, byteCount: part.sealed.bytes.readableBytes)))
    }
    return request
  }

  /// What became of each part. Without a response, as with acks 0, each was written as far as anybody knows.
  func outcomes(_ result: Result<ProduceResponse?, KafkaError>) -> [BatchOutcome] {
    let answers: [TopicPartition: Result<BatchPosition, KafkaError>]
    switch result {
    case .failure(let error): return outcomes { _ in .failure(error) }
    case .success(nil): return outcomes { _ in .success(BatchPosition(offset: -1)) }
    case .success(let response?): answers = read(response)
    }
    return outcomes { part in
      let partition = TopicPartition(part.topic, part.partition)
      let missing = KafkaError(.invalidResponse, "the answer to a produce request leaves out partition \(partition)")
      return answers[partition] ?? .failure(missing)
    }
  }

  private func outcomes(_ result: (Part) -> Result<BatchPosition, KafkaError>) -> [BatchOutcome] {
    parts.map { BatchOutcome(queue: $0.queue, id: $0.id, sealed: $0.sealed, result: result($0)) }
  }

  private func read(_ response: ProduceResponse) -> [TopicPartition: Result<BatchPosition, KafkaError>] {
    let names = Dictionary(parts.map { ($0.topicId, $0.topic) }, uniquingKeysWith: { first, _ in first })
    var answers: [TopicPartition: Result<BatchPosition, KafkaError>] = [:]
    for topic in response.responses {
      let name = topic.name.isEmpty ? names[topic.topicId] ?? "" : topic.name
      for answer in topic.partitionResponses {
        let partition = TopicPartition(name, answer.index)
        let error = KafkaError.broker(
          answer.errorCode, about: "records for partition \(partition)", detail: Self.detail(answer))
        answers[partition] = Result(
          error,
          BatchPosition(
            offset: answer.baseOffset, appendTime: answer.logAppendTimeMs < 0 ? nil : answer.logAppendTimeMs))
      }
    }
    return answers
  }

  /// What the broker says about the records that it refused (KIP-467).
  private static func detail(_ answer: ProduceResponse.PartitionProduceResponse) -> String? {
    guard let record = answer.recordErrors.first, let message = record.batchIndexErrorMessage else {
      return answer.errorMessage
    }
    return "record \(record.batchIndex) of the batch: \(message)"
  }
}
