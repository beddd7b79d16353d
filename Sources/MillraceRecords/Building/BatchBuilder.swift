// Builds a record batch. Records are encoded as they are appended, behind 61 bytes left for the header, so an
// uncompressed batch is finished by writing its header, and its size is known exactly all the time.
//
// A batch is at most 2 GiB: whoever appends bounds what it appends (`max.message.bytes` is far below).

package struct BatchBuilder: Sendable {
  /// The batch so far: the first `sizeInBytes` count, the rest is room.
  private var buffer: [UInt8]
  /// Bytes of the batch if it were finished now without compression.
  package private(set) var sizeInBytes = BatchHeader.byteCount
  package private(set) var recordCount: Int32 = 0
  /// What the records' timestamps count from: the first record's, unless given.
  package private(set) var baseTimestamp: Int64?
  /// The largest timestamp appended.
  package private(set) var maxTimestamp = BatchHeader.noTimestamp
  /// The last record's offset delta; -1 without records.
  package private(set) var lastOffsetDelta: Int32 = -1

  private let givenBaseTimestamp: Int64?
  private let initialCapacity: Int

  /// A builder with room for `capacity` bytes to begin with.
  package init(capacity: Int = 512, baseTimestamp: Int64? = nil) {
    initialCapacity = max(capacity, BatchHeader.byteCount)
    buffer = []
    givenBaseTimestamp = baseTimestamp
    self.baseTimestamp = baseTimestamp
  }

  package var isEmpty: Bool { recordCount == 0 }

  /// Bytes that `append` of such a record would add, at the next offset.
  package func sizeInBytes(
    appendingKey keyCount: Int?, value valueCount: Int?, headers: [RecordHeader] = [], timestamp: Int64
  ) -> Int {
    let body = bodyByteCount(
      offsetDelta: lastOffsetDelta &+ 1, timestampDelta: timestamp &- (baseTimestamp ?? timestamp), keyCount,
      valueCount,
      headersByteCount: headers.encodedByteCount)
    return Varint.byteCount(Int32(truncatingIfNeeded: body)) + body
  }

  /// Appends a record and returns its offset delta.
  @discardableResult
  package mutating func append(
    key: [UInt8]?, value: [UInt8]?, headers: [RecordHeader] = [], timestamp: Int64
  ) -> Int32 {
    func withBytes<Result>(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) -> Result) -> Result {
      guard let bytes else { return body(nil) }
      return bytes.withUnsafeBytes(body)
    }
    return withBytes(key) { key in
      withBytes(value) { value in append(keyBytes: key, valueBytes: value, headers: headers, timestamp: timestamp) }
    }
  }

  /// Appends a record and returns its offset delta: one more than the last, unless given.
  @discardableResult
  package mutating func append(
    keyBytes key: UnsafeRawBufferPointer?, valueBytes value: UnsafeRawBufferPointer?, headers: [RecordHeader] = [],
    timestamp: Int64, offsetDelta: Int32? = nil
  ) -> Int32 {
    append(
      key: key, value: value, timestamp: timestamp, offsetDelta: offsetDelta,
      headersByteCount: headers.encodedByteCount
    ) { $0.write(headers) }
  }

  /// Appends a record of another batch as it is, at the next offset unless one is given.
  @discardableResult
  package mutating func append(copying record: Record, offsetDelta: Int32? = nil) -> Int32 {
    let encoded = record.encodedHeaders
    return append(
      key: record.key, value: record.value, timestamp: record.timestamp, offsetDelta: offsetDelta,
      headersByteCount: encoded.count
    ) { $0.writeRaw(encoded) }
  }

  @inline(__always)
  private mutating func append(
    key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?, timestamp: Int64, offsetDelta: Int32?,
    headersByteCount: Int, writeHeaders: (inout FieldWriter) -> Void
  ) -> Int32 {
    let offsetDelta = offsetDelta ?? lastOffsetDelta &+ 1
    let base = baseTimestamp ?? timestamp
    baseTimestamp = base
    let timestampDelta = timestamp &- base
    let body = bodyByteCount(
      offsetDelta: offsetDelta, timestampDelta: timestampDelta, key?.count, value?.count,
      headersByteCount: headersByteCount)
    let total = Varint.byteCount(Int32(truncatingIfNeeded: body)) + body
    precondition(total <= Int(Int32.max) - sizeInBytes, "a batch is at most 2 GiB")
    reserve(total)
    buffer.withUnsafeMutableBytes { bytes in
      var writer = FieldWriter(bytes.baseAddress! + sizeInBytes)
      writer.writeVarint(Int32(truncatingIfNeeded: body))
      writer.write(0)
      writer.writeVarlong(timestampDelta)
      writer.writeVarint(offsetDelta)
      writer.writeField(key)
      writer.writeField(value)
      writeHeaders(&writer)
      assert(writer.position == total)
    }
    sizeInBytes += total
    recordCount += 1
    lastOffsetDelta = offsetDelta
    maxTimestamp = max(maxTimestamp, timestamp)
    return offsetDelta
  }

  private func bodyByteCount(
    offsetDelta: Int32, timestampDelta: Int64, _ keyCount: Int?, _ valueCount: Int?, headersByteCount: Int
  ) -> Int {
    1 + Varint.byteCount(timestampDelta) + Varint.byteCount(offsetDelta) + Varint.fieldByteCount(keyCount)
      + Varint.fieldByteCount(valueCount) + headersByteCount
  }

  /// Makes `buffer` reach at least `needed` bytes past the batch so far.
  private mutating func reserve(_ needed: Int) {
    let required = sizeInBytes + needed
    guard buffer.count < required else { return }
    let capacity = max(required, buffer.count * 2, initialCapacity)
    buffer = [UInt8](unsafeUninitializedCapacity: capacity) { [buffer] memory, count in
      buffer.withUnsafeBytes { UnsafeMutableRawBufferPointer(memory).copyMemory(from: $0) }
      memory[buffer.count...].initialize(repeating: 0)
      count = capacity
    }
  }

  /// The finished batch. The builder is empty afterwards, whether it succeeds or not.
  package mutating func build(_ fields: BatchFields = BatchFields()) throws(CompressionError) -> [UInt8] {
    defer { reset() }
    reserve(0)
    var header = BatchHeader(
      baseOffset: fields.baseOffset, partitionLeaderEpoch: fields.partitionLeaderEpoch,
      lastOffsetDelta: fields.lastOffsetDelta ?? max(0, lastOffsetDelta),
      baseTimestamp: baseTimestamp ?? BatchHeader.noTimestamp, maxTimestamp: fields.appendTime ?? maxTimestamp,
      producerId: fields.producerId, producerEpoch: fields.producerEpoch, baseSequence: fields.baseSequence,
      recordCount: recordCount)
    header.attributes.compression = fields.compression
    if fields.appendTime != nil { header.attributes.insert(.logAppendTime) }
    if fields.isTransactional { header.attributes.insert(.transactional) }
    if fields.isControl { header.attributes.insert(.control) }
    if fields.deleteHorizonMs != nil { header.attributes.insert(.deleteHorizon) }

    var batch: [UInt8]
    if fields.compression == .none {
      batch = []
      swap(&batch, &buffer)
      batch.removeLast(batch.count - sizeInBytes)
    } else {
      batch = try compressed(fields.compression, level: fields.compressionLevel)
    }
    header.seal(&batch)
    return batch
  }

  /// The compressed records behind room for the header.
  private func compressed(_ type: CompressionType, level: Int32?) throws(CompressionError) -> [UInt8] {
    try buffer.withUnsafeBufferPointer { (bytes) throws(CompressionError) in
      let records = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[BatchHeader.byteCount..<sizeInBytes]))
      return try Compression.withCompressed(type, level: level, records) { compressed in
        [UInt8](unsafeUninitializedCapacity: BatchHeader.byteCount + compressed.count) { memory, count in
          UnsafeMutableRawBufferPointer(memory).baseAddress!.advanced(by: BatchHeader.byteCount)
            .copyMemory(from: compressed.baseAddress!, byteCount: compressed.count)
          count = BatchHeader.byteCount + compressed.count
        }
      }
    }
  }

  private mutating func reset() {
    sizeInBytes = BatchHeader.byteCount
    recordCount = 0
    baseTimestamp = givenBaseTimestamp
    maxTimestamp = BatchHeader.noTimestamp
    lastOffsetDelta = -1
  }
}

extension BatchHeader {
  /// Writes the header over the first 61 bytes of `batch`, with the length and the checksum that it has.
  mutating func seal(_ batch: inout [UInt8]) {
    precondition(batch.count >= Self.byteCount && batch.count <= Int(Int32.max), "a batch is at most 2 GiB")
    batchLength = Int32(truncatingIfNeeded: batch.count - Self.overhead)
    batch.withUnsafeMutableBytes { bytes in
      write(to: bytes)
      crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[Self.checksummedFrom...]))
      bytes.storeBigEndian(crc, at: Field.crc)
    }
  }
}
