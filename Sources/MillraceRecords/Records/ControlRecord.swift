// Control records: what brokers write into the log about the log. A control batch holds them and nothing else.
//
//    key     ┌──────────┬───────┐        value of a transaction's end    ┌──────────┬────────────────────┐
//            │version 2 │type 2 │                                        │version 2 │coordinatorEpoch  4 │
//            └──────────┴───────┘                                        └──────────┴────────────────────┘

/// What a control record says; the type in its key.
package struct ControlRecordType: RawRepresentable, Sendable, Hashable {
  package let rawValue: Int16

  package init(rawValue: Int16) {
    self.rawValue = rawValue
  }

  package static let abort = Self(rawValue: 0)
  package static let commit = Self(rawValue: 1)
  package static let leaderChange = Self(rawValue: 2)
  package static let snapshotHeader = Self(rawValue: 3)
  package static let snapshotFooter = Self(rawValue: 4)
  package static let kraftVersion = Self(rawValue: 5)
  package static let kraftVoters = Self(rawValue: 6)

  private static let keyVersion: Int16 = 0
  private static let keyByteCount = 4

  /// The type in the key of a control record; nil for a key that is none.
  package init?(key: UnsafeRawBufferPointer?) {
    guard let key, key.count >= Self.keyByteCount, key.bigEndian(at: 0, as: Int16.self) >= 0 else { return nil }
    rawValue = key.bigEndian(at: 2, as: Int16.self)
  }

  /// The key of a control record of this type.
  package var key: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Self.keyByteCount) { buffer, count in
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      bytes.storeBigEndian(Self.keyVersion, at: 0)
      bytes.storeBigEndian(rawValue, at: 2)
      count = Self.keyByteCount
    }
  }
}

/// The end of a transaction in one partition.
package struct EndTransactionMarker: Sendable, Hashable {
  package var isCommit: Bool
  package var coordinatorEpoch: Int32

  private static let valueVersion: Int16 = 0
  private static let valueByteCount = 6

  package init(isCommit: Bool, coordinatorEpoch: Int32) {
    self.isCommit = isCommit
    self.coordinatorEpoch = coordinatorEpoch
  }

  /// The marker in a record of a control batch; nil if the record is not one.
  package init?(_ record: Record) {
    guard let type = ControlRecordType(key: record.key), type == .commit || type == .abort,
      let value = record.value, value.count >= Self.valueByteCount, value.bigEndian(at: 0, as: Int16.self) >= 0
    else { return nil }
    isCommit = type == .commit
    coordinatorEpoch = value.bigEndian(at: 2, as: Int32.self)
  }

  package var type: ControlRecordType { isCommit ? .commit : .abort }

  package var value: [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Self.valueByteCount) { buffer, count in
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      bytes.storeBigEndian(Self.valueVersion, at: 0)
      bytes.storeBigEndian(coordinatorEpoch, at: 2)
      count = Self.valueByteCount
    }
  }

  /// The batch that ends the transaction of a producer.
  package func batch(
    producerId: Int64, producerEpoch: Int16, timestamp: Int64, baseOffset: Int64 = 0,
    partitionLeaderEpoch: Int32 = BatchHeader.noPartitionLeaderEpoch
  ) -> [UInt8] {
    ControlBatch.build(
      type, value: value, timestamp: timestamp,
      BatchFields(
        baseOffset: baseOffset, partitionLeaderEpoch: partitionLeaderEpoch, producerId: producerId,
        producerEpoch: producerEpoch, isTransactional: true))
  }
}

package enum ControlBatch {
  /// A batch of one control record. Control batches are not compressed.
  package static func build(
    _ type: ControlRecordType, value: [UInt8]?, timestamp: Int64, _ fields: BatchFields = BatchFields()
  ) -> [UInt8] {
    var fields = fields
    fields.isControl = true
    fields.compression = .none
    var builder = BatchBuilder(capacity: 128)
    builder.append(key: type.key, value: value, timestamp: timestamp)
    do {
      return try builder.build(fields)
    } catch {
      preconditionFailure("nothing is compressed")
    }
  }
}
