// The facts that the transaction coordinator journals in __transaction_state, as Kafka 4.2 writes them: the whole state
// of one transactional id each time.
//
//   key    [type: Int16 = 0][TransactionLogKey v0]
//   value  [version: Int16][TransactionLogValue]   or null, a tombstone: the id has expired
//
// Values are written in version 0, whose fields are fixed, until the feature transaction.version is 1 or more. Beyond
// what Kafka 4.2 fills in, its tags for the previous and the next producer id are used too, so that a retry across an
// exhausted epoch is known after a restart.

import MillraceProtocol
import NIOCore

package struct TransactionRecord: Sendable, Equatable {
  package var transactionalId: String
  /// Nil for an id that has expired.
  package var transaction: Transaction?
}

package enum TransactionRecordError: Error, Equatable {
  case malformed(ProtocolError)
  case unknownState(Int8)
}

extension TransactionRecord {
  /// - Parameter level: of the feature transaction.version.
  package func encode(level: Int16) throws(ProtocolError) -> (key: ByteBuffer, value: ByteBuffer?) {
    let key = try CoordinatorRecord.encodeKey(TransactionLogKey(transactionalId: transactionalId))
    guard let transaction else { return (key, nil) }
    let version: Int16 = level >= TransactionVersion.flexibleRecords ? 1 : 0
    return (key, try CoordinatorRecord.encodeValue(Self.value(of: transaction, version: version), version: version))
  }

  private static func value(of transaction: Transaction, version: Int16) -> TransactionLogValue {
    var value = TransactionLogValue(
      producerId: transaction.producerId, producerEpoch: transaction.producerEpoch,
      transactionTimeoutMs: transaction.timeoutMs, transactionStatus: transaction.state.rawValue,
      transactionLastUpdateTimestampMs: transaction.lastUpdateMs, transactionStartTimestampMs: transaction.startMs)
    value.transactionPartitions =
      transaction.state == .empty
      ? nil
      : Dictionary(grouping: transaction.partitions, by: \.topic).sorted { $0.key < $1.key }.map { topic, partitions in
        TransactionLogValue.PartitionsSchema(topic: topic, partitionIds: partitions.map(\.partition).sorted())
      }
    if version >= 1 {
      value.previousProducerId = transaction.previousProducerId
      value.nextProducerId = transaction.nextProducerId
      value.clientTransactionVersion = transaction.clientVersion
    }
    return value
  }

  /// The fact in a record of the log, or nil for one that belongs to somebody else.
  package static func decode(key: ByteBuffer, value: ByteBuffer?) throws(TransactionRecordError) -> TransactionRecord? {
    do {
      guard try CoordinatorRecord.recordType(ofKey: key) == TransactionLogKey.apiKey else { return nil }
      let id = try CoordinatorRecord.decodeKey(TransactionLogKey.self, from: key).transactionalId
      guard let value else { return TransactionRecord(transactionalId: id, transaction: nil) }
      let decoded = try CoordinatorRecord.decodeValue(TransactionLogValue.self, from: value)
      return TransactionRecord(transactionalId: id, transaction: try Transaction(decoded, transactionalId: id))
    } catch let error as ProtocolError {
      throw .malformed(error)
    } catch let error as TransactionRecordError {
      throw error
    } catch {
      preconditionFailure("nothing else is thrown here: \(error)")
    }
  }
}

extension Transaction {
  init(_ value: TransactionLogValue, transactionalId: String) throws(TransactionRecordError) {
    guard let state = TransactionState(rawValue: value.transactionStatus) else {
      throw .unknownState(value.transactionStatus)
    }
    self.init(
      transactionalId: transactionalId, producerId: value.producerId, timeoutMs: value.transactionTimeoutMs,
      nowMs: value.transactionLastUpdateTimestampMs)
    self.state = state
    previousProducerId = value.previousProducerId
    nextProducerId = value.nextProducerId
    producerEpoch = value.producerEpoch
    startMs = value.transactionStartTimestampMs
    clientVersion = value.clientTransactionVersion
    guard state != .empty else { return }
    for topic in value.transactionPartitions ?? [] {
      for index in topic.partitionIds { partitions.insert(TransactionPartition(topic: topic.topic, partition: index)) }
    }
  }
}
