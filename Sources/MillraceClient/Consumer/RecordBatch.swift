// Records as they come out of a consumer: views into the bytes of their batch, so that reading a record allocates
// nothing. The batch was checked from end to end before anybody sees it, so views cannot fail.

import MillraceRecords
import NIOCore

/// Records of one partition that were written together.
///
/// ```swift
/// for record in batch { print(record.offset, record.value ?? ByteBuffer()) }
/// ```
public struct RecordBatch: Sendable {
  /// What all records of a batch share.
  final class Origin: Sendable {
    let topicPartition: TopicPartition
    let header: BatchHeader
    let highWatermark: Int64

    init(_ topicPartition: TopicPartition, _ header: BatchHeader, highWatermark: Int64) {
      self.topicPartition = topicPartition
      self.header = header
      self.highWatermark = highWatermark
    }
  }

  let origin: Origin
  /// The record section, decompressed.
  let section: ByteBuffer
  /// Records before it are not part of what was asked for.
  let position: Int64
  /// How many records there are.
  public let recordCount: Int

  /// Bytes of the batch as it was fetched.
  public var sizeInBytes: Int { origin.header.sizeInBytes }
  /// The topic that it is from.
  public var topic: String { origin.topicPartition.topic }
  /// The partition that it is from, counted from 0.
  public var partition: Int32 { origin.topicPartition.partition }
  /// The partition that it is from.
  public var topicPartition: TopicPartition { origin.topicPartition }
  /// The offset after the last record that could be read when this was fetched.
  public var highWatermark: Int64 { origin.highWatermark }
  /// The offset of the first record, or one before it.
  public var baseOffset: Int64 { Swift.max(origin.header.baseOffset, position) }
  /// The offset of the last record, or one behind it.
  public var lastOffset: Int64 { origin.header.lastOffset }

  /// Reads the records of a batch from its decompressed section, all of them, to see that they are what they should be.
  ///
  /// - Parameter position: where to begin.
  init(
    _ partition: TopicPartition, _ header: BatchHeader, section: ByteBuffer, from position: Int64, highWatermark: Int64
  ) throws(BatchError) {
    origin = Origin(partition, header, highWatermark: highWatermark)
    self.section = section
    self.position = position
    recordCount = try section.withUnsafeReadableBytes { (bytes) throws(BatchError) -> Int in
      var records = RecordIterator(bytes, of: header)
      var count = 0
      while let record = try records.next() {
        if record.offset >= position { count += 1 }
      }
      return count
    }
  }
}

extension RecordBatch: Sequence {
  public struct Iterator: IteratorProtocol {
    private let batch: RecordBatch
    /// Keeps the memory that `records` points into.
    private let storage: AnyObject
    private var records: RecordIterator

    fileprivate init(_ batch: RecordBatch) {
      self.batch = batch
      (storage, records) = batch.section.withUnsafeReadableBytesWithStorageManagement { bytes, storage in
        (storage.takeUnretainedValue(), RecordIterator(bytes, of: batch.origin.header))
      }
    }

    public mutating func next() -> ConsumerRecord? {
      // The batch was read before, so an error cannot come.
      while let record = try? records.next() {
        if record.offset >= batch.position { return ConsumerRecord(record, of: batch) }
      }
      return nil
    }
  }

  public func makeIterator() -> Iterator { Iterator(self) }

  public var underestimatedCount: Int { recordCount }
}

/// A record that was read.
public struct ConsumerRecord: Sendable {
  private let origin: RecordBatch.Origin
  private let section: ByteBuffer
  /// The record's place in its partition.
  public let offset: Int64
  /// Milliseconds since 1970.
  public let timestamp: Int64
  private let keyStart: Int32
  private let keyCount: Int32
  private let valueStart: Int32
  private let valueCount: Int32
  private let headersStart: Int32
  private let headerCount: Int32

  init(_ record: Record, of batch: RecordBatch) {
    origin = batch.origin
    section = batch.section
    offset = record.offset
    timestamp = record.timestamp
    let key = record.keyRange
    keyStart = Int32(truncatingIfNeeded: key?.lowerBound ?? 0)
    keyCount = Int32(truncatingIfNeeded: key?.count ?? -1)
    let value = record.valueRange
    valueStart = Int32(truncatingIfNeeded: value?.lowerBound ?? 0)
    valueCount = Int32(truncatingIfNeeded: value?.count ?? -1)
    headersStart = Int32(truncatingIfNeeded: record.headersStart)
    headerCount = Int32(truncatingIfNeeded: record.headerCount)
  }

  /// The topic that it is from.
  public var topic: String { origin.topicPartition.topic }
  /// The partition that it is from, counted from 0.
  public var partition: Int32 { origin.topicPartition.partition }
  /// The partition that it is from.
  public var topicPartition: TopicPartition { origin.topicPartition }
  /// The epoch of the leader that wrote the batch.
  public var leaderEpoch: Int32? {
    origin.header.partitionLeaderEpoch < 0 ? nil : origin.header.partitionLeaderEpoch
  }
  /// Whether `timestamp` is the broker's time of writing instead of the producer's.
  public var hasAppendTime: Bool { origin.header.timestampType == .logAppendTime }

  /// The key, sharing the memory of its batch.
  public var key: ByteBuffer? { slice(keyStart, keyCount) }
  /// The value, sharing the memory of its batch.
  public var value: ByteBuffer? { slice(valueStart, valueCount) }
  /// The size of the key; 0 for none.
  public var keyByteCount: Int { Int(max(keyCount, 0)) }
  /// The size of the value; 0 for none.
  public var valueByteCount: Int { Int(max(valueCount, 0)) }

  /// The headers in their order; names may repeat. They are read anew with every call.
  public var headers: [RecordHeader] {
    guard headerCount > 0 else { return [] }
    return section.withUnsafeReadableBytes { bytes in
      RecordHeaders(section: bytes, start: Int(headersStart), count: Int(headerCount)).map { header in
        RecordHeader(key: header.key, value: header.value.map { ByteBuffer(bytes: $0) })
      }
    }
  }

  private func slice(_ start: Int32, _ count: Int32) -> ByteBuffer? {
    count < 0 ? nil : section.getSlice(at: section.readerIndex + Int(start), length: Int(count))
  }
}
