import Testing

@testable import MillraceRecords

@Suite struct `Produce validation` {
  static let now: Int64 = 1_700_000_000_000

  /// A batch of `count` records, one second apart and ending now, made wrong by `change` and then given its checksum.
  static func batch(
    count: Int = 3, keyed: Bool = true, _ fields: BatchFields = BatchFields(), timestamps: [Int64]? = nil,
    change: (inout BatchHeader) -> Void = { _ in }
  ) throws -> [UInt8] {
    var builder = BatchBuilder()
    for index in 0..<count {
      builder.append(
        key: keyed ? [UInt8(index)] : nil, value: Array("value \(index)".utf8),
        timestamp: timestamps?[index] ?? now - Int64(count - 1 - index) * 1000)
    }
    return try Self.change(builder.build(fields), change)
  }

  static func change(_ batch: [UInt8], _ change: (inout BatchHeader) -> Void) throws -> [UInt8] {
    var batch = batch
    var header = batch.withUnsafeBytes { BatchHeader(unchecked: $0) }
    change(&header)
    batch.withUnsafeMutableBytes { bytes in
      header.write(to: bytes)
      let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[BatchHeader.checksummedFrom...]))
      bytes.storeBigEndian(crc, at: BatchHeader.Field.crc)
    }
    return batch
  }

  /// The batch with other bytes as its records.
  static func replacingRecords(of batch: [UInt8], with records: [UInt8]) throws -> [UInt8] {
    try change(Array(batch.prefix(BatchHeader.byteCount)) + records) {
      $0.batchLength = Int32(BatchHeader.byteCount - BatchHeader.overhead + records.count)
    }
  }

  static func validate(
    _ bytes: [UInt8], _ rules: ProduceRules = ProduceRules()
  ) throws(ProduceRejection) -> ValidatedBatch {
    try bytes.withUnsafeBufferPointer { (bytes) throws(ProduceRejection) in
      try ProduceValidation.validate(UnsafeRawBufferPointer(bytes), rules, nowMs: now)
    }
  }

  static func rejection(_ bytes: [UInt8], _ rules: ProduceRules = ProduceRules()) -> ProduceRejection? {
    do {
      _ = try validate(bytes, rules)
      return nil
    } catch { return error }
  }

  static func kinds(_ bytes: [UInt8], _ rules: ProduceRules = ProduceRules()) -> [ProduceRejection.Kind?] {
    [ProduceRules.Depth.header, .records].map { depth in
      var rules = rules
      rules.depth = depth
      return rejection(bytes, rules)?.kind
    }
  }

  // MARK: What may pass

  @Test func `a good batch passes and nothing changes`() throws {
    for compression in CompressionType.allCases {
      let valid = try Self.validate(Self.batch(BatchFields(compression: compression)))
      #expect(valid.rewritten == nil && valid.logAppendTime == nil && valid.correctedMaxTimestamp == nil)
      #expect(valid.maxTimestamp == Self.now && valid.offsetDeltaOfMaxTimestamp == 2)
      #expect(valid.header.recordCount == 3)
    }
  }

  @Test func `an idempotent transactional batch passes`() throws {
    let fields = BatchFields(producerId: 4, producerEpoch: 0, baseSequence: .max, isTransactional: true)
    #expect(try Self.kinds(Self.batch(fields)) == [nil, nil])
  }

  @Test func `bytes behind the batch that are no whole batch are left out`() throws {
    let batch = try Self.batch()
    for extra in [[1], [UInt8](repeating: 0, count: 11), Array(batch.prefix(40))] {
      let valid = try Self.validate(batch + extra)
      #expect(valid.header.sizeInBytes == batch.count)
    }
  }

  // MARK: The envelope

  @Test func `no batch and more than one batch are invalid records`() throws {
    let batch = try Self.batch()
    #expect(Self.kinds([]) == [.invalidRecord, .invalidRecord])
    #expect(Self.kinds(batch + batch) == [.invalidRecord, .invalidRecord])
    #expect(Self.kinds(Array(batch.dropLast())) == [.invalidRecord, .invalidRecord])
    #expect(Self.kinds(Array(batch.prefix(16))) == [.invalidRecord, .invalidRecord])
  }

  @Test func `old formats are invalid records and unknown ones are corrupt`() throws {
    var batch = try Self.batch()
    for (magic, kind) in [(0, .invalidRecord), (1, .invalidRecord), (3, .corruptMessage), (0xFF, .corruptMessage)]
      as [(UInt8, ProduceRejection.Kind)]
    {
      batch[16] = magic
      #expect(Self.kinds(batch) == [kind, kind])
    }
  }

  @Test func `a length no batch has is corrupt`() throws {
    let batch = try Self.batch()
    for length in [-1, 0, 13, 48, .min] as [Int32] {
      let bytes = try Self.change(batch) { $0.batchLength = length }
      #expect(Self.kinds(bytes) == [.corruptMessage, .corruptMessage])
    }
  }

  @Test func `a base offset other than zero is an invalid record`() throws {
    let batch = try Self.batch(BatchFields(baseOffset: 1))
    #expect(Self.kinds(batch) == [.invalidRecord, .invalidRecord])
    #expect(Self.kinds(batch, ProduceRules(origin: .coordinator)) == [nil, nil])
  }

  @Test func `a batch may be as large as the topic allows and no larger`() throws {
    let batch = try Self.batch()
    #expect(Self.kinds(batch, ProduceRules(maxMessageBytes: batch.count)) == [nil, nil])
    let smaller = ProduceRules(maxMessageBytes: batch.count - 1)
    #expect(Self.kinds(batch, smaller) == [.messageTooLarge, .messageTooLarge])
  }

  @Test func `any changed byte under the checksum is corrupt`() throws {
    let batch = try Self.batch()
    for index in BatchHeader.checksummedFrom..<batch.count {
      var injured = batch
      injured[index] ^= 0x10
      #expect(Self.kinds(injured) == [.corruptMessage, .corruptMessage], "byte \(index)")
    }
  }

  @Test func `zstd needs version 7 of Produce`() throws {
    let batch = try Self.batch(BatchFields(compression: .zstd))
    let refused = [ProduceRejection.Kind.unsupportedCompressionType, .unsupportedCompressionType]
    #expect(Self.kinds(batch, ProduceRules(produceVersion: 6)) == refused)
    #expect(Self.kinds(batch, ProduceRules(produceVersion: 7)) == [nil, nil])
  }

  @Test func `a codec nobody knows is named`() throws {
    for code in 5...7 as ClosedRange<Int16> {
      let batch = try Self.batch { $0.attributes = BatchAttributes(rawValue: code) }
      #expect(Self.kinds(batch) == [.unsupportedCompressionType, .unsupportedCompressionType])
    }
  }

  // MARK: The header's claims

  @Test func `counts and offsets that disagree are invalid records`() throws {
    let lies: [(inout BatchHeader) -> Void] = [
      { $0.recordCount = 0 }, { $0.recordCount = -1 }, { $0.recordCount = 4 }, { $0.recordCount = 2 },
      { $0.lastOffsetDelta = -1 }, { $0.lastOffsetDelta = 5 }, { $0.lastOffsetDelta = .min },
      {
        $0.lastOffsetDelta = .max
        $0.recordCount = .min
      },
    ]
    for lie in lies { #expect(try Self.kinds(Self.batch(change: lie)) == [.invalidRecord, .invalidRecord]) }
  }

  @Test func `more records than fit the bytes are refused without a look at them`() throws {
    let batch = try Self.batch {
      $0.recordCount = 1_000_000
      $0.lastOffsetDelta = 999_999
    }
    #expect(Self.kinds(batch) == [.invalidRecord, .invalidRecord])
  }

  @Test func `clients may not write control batches, coordinators may`() throws {
    let marker = EndTransactionMarker(isCommit: true, coordinatorEpoch: 0)
      .batch(producerId: 1, producerEpoch: 0, timestamp: Self.now)
    #expect(Self.kinds(marker) == [.invalidRecord, .invalidRecord])
    let rules = ProduceRules(origin: .coordinator, isCompacted: true, compression: .codec(.gzip, level: nil))
    #expect(Self.kinds(marker, rules) == [nil, nil])
    #expect(try Self.validate(marker, rules).rewritten == nil)
  }

  @Test func `a producer id needs a sequence number`() throws {
    let batch = try Self.batch(BatchFields(producerId: 1, producerEpoch: 0, baseSequence: -1))
    #expect(Self.kinds(batch) == [.invalidRecord, .invalidRecord])
  }

  // MARK: The records

  @Test(arguments: CompressionType.allCases)
  func `a batch that lies about its records is refused`(_ type: CompressionType) throws {
    let honest = try Self.batch(count: 5, BatchFields(compression: type))
    for count in [4, 6] as [Int32] {
      let batch = try Self.change(honest) {
        $0.recordCount = count
        $0.lastOffsetDelta = count - 1
      }
      #expect(Self.rejection(batch)?.kind == .invalidRecord)
    }
  }

  @Test func `records that do not parse are named`() throws {
    let batch = try Self.batch(count: 1)
    let broken: [[UInt8]] = [
      // length 6: attributes, deltas, null key, null value, no headers; then the same with one field wrong.
      [0x0C, 0, 0, 0, 1, 1, 1],  // a negative header count
      [0x0C, 0, 0, 0, 1, 1, 2],  // a header that is not there
      [0x0C, 0, 0, 0, 1, 2, 0],  // a value reaching past the record
      [0x0C, 0, 0, 0, 0xFE, 0xFF, 0x7F],  // a key of a million bytes
      [0x0A, 0, 0, 0, 1, 1, 0],  // a length one too small
      [0x0E, 0, 0, 0, 1, 1, 0],  // a length past the end
      [0x0E, 0, 0, 0, 1, 1, 0, 0],  // a byte behind the headers
      [0x01, 0, 0, 0, 1, 1, 0],  // a negative length
      [0x14, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80],  // a varint without an end
      [0x10, 0, 0, 0, 1, 1, 2, 1, 1],  // a header with a null key
    ]
    #expect(try Self.kinds(Self.replacingRecords(of: batch, with: [0x0C, 0, 0, 0, 1, 1, 0])) == [nil, nil])
    for records in broken {
      let rejection = try Self.rejection(Self.replacingRecords(of: batch, with: records))
      #expect(rejection?.kind == .invalidRecord && rejection?.recordErrors.map(\.batchIndex) == [0], "\(records)")
    }
  }

  @Test func `records that do not decompress are refused`() throws {
    for type in CompressionType.allCases where type != .none {
      let batch = try Self.batch(BatchFields(compression: type))
      let injured = try Self.replacingRecords(of: batch, with: Array(batch[BatchHeader.byteCount...].dropLast(3)))
      #expect(Self.rejection(injured)?.kind == .invalidRecord)
    }
  }

  @Test func `a decompression bomb is refused`() throws {
    for type in CompressionType.allCases where type != .none {
      var builder = BatchBuilder()
      builder.append(key: nil, value: [UInt8](repeating: 0, count: 8 << 20), timestamp: Self.now)
      let bomb = try builder.build(BatchFields(compression: type))
      #expect(Self.rejection(bomb, ProduceRules(decompressedLimit: 1 << 20))?.kind == .invalidRecord)
      #expect(Self.rejection(bomb, ProduceRules(decompressedLimit: 9 << 20)) == nil)
    }
  }

  @Test func `a compacted topic names the records without a key`() throws {
    var builder = BatchBuilder()
    for index in 0..<5 { builder.append(key: index % 2 == 0 ? [1] : nil, value: nil, timestamp: Self.now) }
    let batch = try builder.build()
    let rejection = Self.rejection(batch, ProduceRules(isCompacted: true))
    #expect(rejection?.kind == .invalidRecord && rejection?.recordErrors.map(\.batchIndex) == [1, 3])
    #expect(Self.rejection(batch) == nil)
  }

  @Test func `a rejection names only so many records`() throws {
    let rejection = try Self.rejection(Self.batch(count: 1000, keyed: false), ProduceRules(isCompacted: true))
    #expect(rejection?.recordErrors.count == ProduceRejection.maximumRecordErrors)
  }

  // MARK: Timestamps

  @Test func `timestamps too old or too new are named`() throws {
    let rules = ProduceRules(timestampBeforeMaxMs: 10_000, timestampAfterMaxMs: 1000)
    let timestamps = [-10_000, -10_001, 0, 1000, 1001].map { Self.now + $0 }
    let rejection = try Self.rejection(Self.batch(count: 5, timestamps: timestamps), rules)
    #expect(rejection?.kind == .invalidTimestamp && rejection?.recordErrors.map(\.batchIndex) == [1, 4])
  }

  @Test func `by default a timestamp may be old and an hour new, and none is fine`() throws {
    for (timestamp, isFine) in [(0, true), (-1, true), (Self.now + 3_600_000, true), (Self.now + 3_600_001, false)] {
      #expect(try (Self.rejection(Self.batch(count: 1, timestamps: [timestamp])) == nil) == isFine)
    }
  }

  @Test func `the largest timestamp is corrected where the header is wrong`() throws {
    let timestamps = [Self.now - 5, Self.now - 1, Self.now - 3]
    for wrong in [-1, 0, Self.now + 10_000_000] {
      let batch = try Self.batch(count: 3, timestamps: timestamps) { $0.maxTimestamp = wrong }
      let valid = try Self.validate(batch)
      #expect(valid.correctedMaxTimestamp == Self.now - 1 && valid.maxTimestamp == Self.now - 1)
      #expect(valid.offsetDeltaOfMaxTimestamp == 1)
      batch.withUnsafeBytes { batch in
        let stamped = BatchHeader.stamped(
          batch, baseOffset: 9, partitionLeaderEpoch: 0, maxTimestamp: valid.correctedMaxTimestamp)
        (stamped + batch[BatchHeader.byteCount...]).withUnsafeBytes { stored in
          let header = BatchHeader(unchecked: stored)
          #expect(header.maxTimestamp == Self.now - 1 && header.isValid(checksumOver: stored))
        }
      }
    }
  }

  @Test func `a topic with append time takes any create time and stamps its own`() throws {
    let rules = ProduceRules(timestampType: .logAppendTime, timestampBeforeMaxMs: 0, timestampAfterMaxMs: 0)
    let valid = try Self.validate(Self.batch(count: 2, timestamps: [5, .max]), rules)
    #expect(valid.logAppendTime == Self.now && valid.maxTimestamp == Self.now)
    #expect(valid.correctedMaxTimestamp == nil && valid.offsetDeltaOfMaxTimestamp == 0)
  }

  @Test func `producers may not claim append time`() throws {
    let batch = try Self.batch(BatchFields(appendTime: Self.now))
    #expect(Self.rejection(batch, ProduceRules(timestampType: .logAppendTime))?.kind == .invalidTimestamp)
    // On a topic with create time the claim is taken away and the records' own timestamps count.
    let valid = try Self.validate(batch)
    #expect(valid.correctedMaxTimestamp == Self.now && valid.header.timestampType == .createTime)
  }

  // MARK: Batches that are stored differently

  @Test(arguments: [ProduceRules.Depth.header, .records], CompressionType.allCases)
  func `a batch is stored with the topic's codec`(_ depth: ProduceRules.Depth, _ target: CompressionType) throws {
    for source in CompressionType.allCases {
      let batch = try Self.batch(BatchFields(producerId: 3, producerEpoch: 1, baseSequence: 7, compression: source))
      let valid = try Self.validate(batch, ProduceRules(depth: depth, compression: .codec(target, level: nil)))
      #expect((valid.rewritten == nil) == (source == target))
      #expect(valid.header.compression == target && valid.header.baseSequence == 7)
      let stored = valid.rewritten ?? batch
      #expect(try `Batch builder`.read(stored) == `Batch builder`.read(batch))
      #expect(valid.header.sizeInBytes == stored.count)
    }
  }

  @Test func `a batch that grows past the limit when stored is too large`() throws {
    var builder = BatchBuilder()
    builder.append(key: nil, value: [UInt8](repeating: 0, count: 100_000), timestamp: Self.now)
    let batch = try builder.build(BatchFields(compression: .gzip))
    let rules = ProduceRules(maxMessageBytes: 10_000, compression: .codec(.none, level: nil))
    #expect(Self.rejection(batch, rules)?.kind == .messageTooLarge)
  }

  @Test(arguments: CompressionType.allCases)
  func `offset deltas out of order are put in order`(_ type: CompressionType) throws {
    var builder = BatchBuilder()
    for (index, delta) in [0, 0, 7, 1].enumerated() as EnumeratedSequence<[Int32]> {
      [UInt8(index)].withUnsafeBytes { value in
        _ = builder.append(
          keyBytes: nil, valueBytes: value, headers: [RecordHeader(key: "h", value: [1])],
          timestamp: Self.now - Int64(index), offsetDelta: delta)
      }
    }
    let batch = try builder.build(BatchFields(compression: type, lastOffsetDelta: 3))
    let valid = try Self.validate(batch)
    let stored = try `Batch builder`.read(#require(valid.rewritten))
    #expect(stored.map(\.value) == [[0], [1], [2], [3]])
    #expect(valid.header.compression == type && valid.header.lastOffsetDelta == 3)
  }
}
