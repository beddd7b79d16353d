// The search for transactions that keep `read_committed` consumers waiting and that no coordinator will end, as
// kafka-transactions.sh does it (KIP-664), and their end by hand.
import MillraceClient

struct HangingTransaction {
  var partition: TopicPartition
  var producer: ActiveProducer

  /// Partitions that are asked about in one request.
  private static let batchSize = 500

  /// Transactions whose last record is older than any transaction may be, and that no coordinator counts as open in
  /// that partition.
  static func find(
    _ admin: Admin, in partitions: [TopicPartition], olderThanMs: Int64, nowMs: Int64
  ) async throws -> [HangingTransaction] {
    var candidates: [HangingTransaction] = []
    for start in stride(from: 0, to: partitions.count, by: batchSize) {
      let batch = Array(partitions[start..<min(start + batchSize, partitions.count)])
      let answers = try await admin.describeProducers(batch)
      for partition in batch {
        for producer in try answers[partition]?.get() ?? []
        where producer.transactionStartOffset != nil
          && nowMs.subtractingReportingOverflow(producer.lastTimestamp).partialValue > olderThanMs
        {
          candidates.append(HangingTransaction(partition: partition, producer: producer))
        }
      }
    }
    guard !candidates.isEmpty else { return [] }
    let listed = try await admin.listTransactions(producerIds: Array(Set(candidates.map(\.producer.producerId))))
    let described = try await admin.describeTransactions(listed.map(\.transactionalId))
    var isOpen: Set<OpenPartition> = []
    for transaction in listed {
      switch described[transaction.transactionalId] {
      case .success(let description)?:
        for partition in description.partitions {
          isOpen.insert(OpenPartition(producerId: description.producerId, partition: partition))
        }
      case .failure(let error)? where error.brokerCode != .transactionalIdNotFound: throw error
      default: break
      }
    }
    return candidates.filter {
      !isOpen.contains(OpenPartition(producerId: $0.producer.producerId, partition: $0.partition))
    }
  }

  private struct OpenPartition: Hashable {
    var producerId: Int64
    var partition: TopicPartition
  }

  /// The transaction that is open in a partition since an offset.
  static func toAbort(
    _ admin: Admin, _ partition: TopicPartition, startOffset: Int64
  ) async throws -> TransactionToAbort? {
    let producers = try await admin.describeProducers([partition])[partition]?.get() ?? []
    return producers.first { $0.transactionStartOffset == startOffset }.map { producer in
      TransactionToAbort(
        partition: partition, producerId: producer.producerId,
        producerEpoch: Int16(truncatingIfNeeded: producer.producerEpoch),
        // No coordinator is older than epoch 0, so this one overrules none.
        coordinatorEpoch: max(0, producer.coordinatorEpoch ?? 0))
    }
  }

  func minutes(nowMs: Int64) -> Int64 {
    nowMs.subtractingReportingOverflow(producer.lastTimestamp).partialValue / 60_000
  }
}
