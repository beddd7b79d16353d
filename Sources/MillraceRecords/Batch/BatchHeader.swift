// The fixed 61 bytes that begin every v2 record batch, on the wire and in a segment file. All integers are big-endian.
//
//    0               8       12      16  17      21  23      27              35              43              51  53
//    ┌───────────────┬───────┬───────┬───┬───────┬───┬───────┬───────────────┬───────────────┬───────────────┬───┬─
//    │ baseOffset  8 │ len 4 │ lep 4 │m 1│ crc 4 │a 2│ lod 4 │baseTimestamp 8│ maxTimestamp 8│ producerId  8 │pe2│…
//    └───────────────┴───────┴───────┴───┴───────┴───┴───────┴───────────────┴───────────────┴───────────────┴───┴─
//    53      57      61
//   ─┬───────┬───────┬──────────────────────────────────────────────
//   …│ seq 4 │count 4│ records (compressed as one block, or plain)
//   ─┴───────┴───────┴──────────────────────────────────────────────
//
//   len    batchLength: bytes after this field, so a batch takes 12 + len bytes
//   lep    partitionLeaderEpoch          m      magic, 2          lod    lastOffsetDelta
//   a      attributes: bits 0…2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon (KIP-534)
//   pe     producerEpoch                 seq    baseSequence
//
// The checksum covers byte 21 to the end of the batch, so a log may write baseOffset and partitionLeaderEpoch without
// computing it again. A header is only a reading of bytes: nothing in it is believed until `isValid(checksumOver:)`.

package struct BatchHeader: Sendable, Equatable {
  /// Bytes of the fixed part.
  package static let byteCount = 61
  /// Bytes before those that `batchLength` counts.
  package static let overhead = 12
  /// Where the bytes that the checksum covers begin.
  package static let checksummedFrom = 21
  /// The smallest `batchLength`: a batch without records.
  package static let minimumBatchLength: Int32 = 49
  /// The only message format that is read and written.
  package static let currentMagic: Int8 = 2

  package static let noTimestamp: Int64 = -1
  package static let noProducerId: Int64 = -1
  package static let noProducerEpoch: Int16 = -1
  package static let noSequence: Int32 = -1
  package static let noPartitionLeaderEpoch: Int32 = -1

  package var baseOffset: Int64
  package var batchLength: Int32
  package var partitionLeaderEpoch: Int32
  package var magic: Int8
  package var crc: UInt32
  package var attributes: BatchAttributes
  package var lastOffsetDelta: Int32
  package var baseTimestamp: Int64
  package var maxTimestamp: Int64
  package var producerId: Int64
  package var producerEpoch: Int16
  package var baseSequence: Int32
  package var recordCount: Int32

  package init(
    baseOffset: Int64 = 0, batchLength: Int32 = Self.minimumBatchLength,
    partitionLeaderEpoch: Int32 = Self.noPartitionLeaderEpoch, magic: Int8 = Self.currentMagic, crc: UInt32 = 0,
    attributes: BatchAttributes = [], lastOffsetDelta: Int32 = 0, baseTimestamp: Int64 = Self.noTimestamp,
    maxTimestamp: Int64 = Self.noTimestamp, producerId: Int64 = Self.noProducerId,
    producerEpoch: Int16 = Self.noProducerEpoch, baseSequence: Int32 = Self.noSequence, recordCount: Int32 = 0
  ) {
    self.baseOffset = baseOffset
    self.batchLength = batchLength
    self.partitionLeaderEpoch = partitionLeaderEpoch
    self.magic = magic
    self.crc = crc
    self.attributes = attributes
    self.lastOffsetDelta = lastOffsetDelta
    self.baseTimestamp = baseTimestamp
    self.maxTimestamp = maxTimestamp
    self.producerId = producerId
    self.producerEpoch = producerEpoch
    self.baseSequence = baseSequence
    self.recordCount = recordCount
  }

  /// Reads the header at the start of `bytes`, which may end before the batch does.
  package init(parsing bytes: UnsafeRawBufferPointer) throws(BatchError) {
    // Magic sits at the same place in all three formats, so an old message is told from garbage before lengths are.
    if bytes.count > 16, bytes[16] != UInt8(bitPattern: Self.currentMagic) {
      throw .unsupportedMagic(Int8(bitPattern: bytes[16]))
    }
    guard bytes.count >= Self.byteCount else { throw .truncated }
    self.init(unchecked: bytes)
    guard batchLength >= Self.minimumBatchLength else { throw .invalidLength(batchLength) }
  }

  /// Reads 61 bytes as a header without looking at what they say.
  init(unchecked bytes: UnsafeRawBufferPointer) {
    baseOffset = bytes.bigEndian(at: Field.baseOffset, as: Int64.self)
    batchLength = bytes.bigEndian(at: Field.batchLength, as: Int32.self)
    partitionLeaderEpoch = bytes.bigEndian(at: Field.partitionLeaderEpoch, as: Int32.self)
    magic = bytes.bigEndian(at: Field.magic, as: Int8.self)
    crc = bytes.bigEndian(at: Field.crc, as: UInt32.self)
    attributes = BatchAttributes(rawValue: bytes.bigEndian(at: Field.attributes, as: Int16.self))
    lastOffsetDelta = bytes.bigEndian(at: Field.lastOffsetDelta, as: Int32.self)
    baseTimestamp = bytes.bigEndian(at: Field.baseTimestamp, as: Int64.self)
    maxTimestamp = bytes.bigEndian(at: Field.maxTimestamp, as: Int64.self)
    producerId = bytes.bigEndian(at: Field.producerId, as: Int64.self)
    producerEpoch = bytes.bigEndian(at: Field.producerEpoch, as: Int16.self)
    baseSequence = bytes.bigEndian(at: Field.baseSequence, as: Int32.self)
    recordCount = bytes.bigEndian(at: Field.recordCount, as: Int32.self)
  }

  /// Writes the header over the first 61 bytes of `destination`, `crc` as it stands.
  package func write(to destination: UnsafeMutableRawBufferPointer) {
    precondition(destination.count >= Self.byteCount, "a batch header needs 61 bytes")
    destination.storeBigEndian(baseOffset, at: Field.baseOffset)
    destination.storeBigEndian(batchLength, at: Field.batchLength)
    destination.storeBigEndian(partitionLeaderEpoch, at: Field.partitionLeaderEpoch)
    destination.storeBigEndian(magic, at: Field.magic)
    destination.storeBigEndian(crc, at: Field.crc)
    destination.storeBigEndian(attributes.rawValue, at: Field.attributes)
    destination.storeBigEndian(lastOffsetDelta, at: Field.lastOffsetDelta)
    destination.storeBigEndian(baseTimestamp, at: Field.baseTimestamp)
    destination.storeBigEndian(maxTimestamp, at: Field.maxTimestamp)
    destination.storeBigEndian(producerId, at: Field.producerId)
    destination.storeBigEndian(producerEpoch, at: Field.producerEpoch)
    destination.storeBigEndian(baseSequence, at: Field.baseSequence)
    destination.storeBigEndian(recordCount, at: Field.recordCount)
  }

  /// Where each field begins.
  enum Field {
    static let baseOffset = 0
    static let batchLength = 8
    static let partitionLeaderEpoch = 12
    static let magic = 16
    static let crc = 17
    static let attributes = 21
    static let lastOffsetDelta = 23
    static let baseTimestamp = 27
    static let maxTimestamp = 35
    static let producerId = 43
    static let producerEpoch = 51
    static let baseSequence = 53
    static let recordCount = 57
  }
}

extension BatchHeader {
  /// Bytes of the whole batch.
  package var sizeInBytes: Int { Self.overhead + Int(batchLength) }

  /// The offset of the last record. Wraps for a header that lies; whoever trusts it has checked `lastOffsetDelta`.
  package var lastOffset: Int64 { baseOffset &+ Int64(lastOffsetDelta) }

  /// The offset after the last record.
  package var nextOffset: Int64 { lastOffset &+ 1 }

  /// The codec of the records; nil when the attributes hold a number that no codec has.
  package var compression: CompressionType? { attributes.compression }
  package var timestampType: TimestampType { attributes.timestampType }
  package var isTransactional: Bool { attributes.contains(.transactional) }
  package var isControl: Bool { attributes.contains(.control) }
  /// Whether `baseTimestamp` holds the time after which a tombstone or marker may go (KIP-534).
  package var hasDeleteHorizon: Bool { attributes.contains(.deleteHorizon) }
  package var deleteHorizonMs: Int64? { hasDeleteHorizon ? baseTimestamp : nil }

  package var hasProducerId: Bool { producerId > Self.noProducerId }

  /// The sequence number of the last record, after 2^31 - 1 comes 0; -1 without sequences.
  package var lastSequence: Int32 {
    baseSequence == Self.noSequence ? Self.noSequence : Self.sequence(baseSequence, advancedBy: lastOffsetDelta)
  }

  /// `sequence + count` among the numbers 0 … 2^31 - 1.
  package static func sequence(_ sequence: Int32, advancedBy count: Int32) -> Int32 {
    Int32(truncatingIfNeeded: (Int64(sequence) &+ Int64(count)) & 0x7FFF_FFFF)
  }

  /// Whether `crc` is the checksum of `batch`, the whole batch that this header was read from.
  package func isValid(checksumOver batch: UnsafeRawBufferPointer) -> Bool {
    (try? Self.computeChecksum(of: batch)) == crc
  }

  /// The checksum of the bytes of `batch` that the header's `crc` covers.
  package static func computeChecksum(of batch: UnsafeRawBufferPointer) throws(BatchError) -> UInt32 {
    guard batch.count >= byteCount else { throw .truncated }
    return CRC32C.checksum(UnsafeRawBufferPointer(rebasing: batch[checksummedFrom...]))
  }
}
