import Testing

@testable import MillraceRecords

@Suite struct `Batch builder` {
  struct Sample: Equatable {
    var key: [UInt8]?
    var value: [UInt8]?
    var headers: [RecordHeader]
    var timestamp: Int64
  }

  static func samples(_ random: inout SeededGenerator) -> [Sample] {
    (0..<Int.random(in: 1...60, using: &random)).map { _ in
      Sample(
        key: Bool.random(using: &random) ? random.bytes(Int.random(in: 0...20, using: &random)) : nil,
        value: Int.random(in: 0..<8, using: &random) == 0
          ? nil : random.text(Int.random(in: 0...300, using: &random)),
        headers: (0..<Int.random(in: 0...3, using: &random)).map { index in
          RecordHeader(
            key: ["", "trace", "länge"][index], value: index == 1 ? nil : random.bytes(index * 70))
        },
        timestamp: 1_700_000_000_000 + Int64.random(in: -5_000_000_000...5_000_000_000, using: &random))
    }
  }

  static func read(_ batch: [UInt8]) throws -> [Sample] {
    try batch.withUnsafeBufferPointer { bytes in
      let view = try BatchView(UnsafeRawBufferPointer(bytes))
      try view.verifyChecksum()
      var samples: [Sample] = []
      try view.forEachRecord { record in
        #expect(record.offset == view.header.baseOffset + Int64(samples.count))
        samples.append(
          Sample(
            key: record.key.map { [UInt8]($0) }, value: record.value.map { [UInt8]($0) },
            headers: record.headers.map(\.owned), timestamp: record.timestamp))
      }
      return samples
    }
  }

  @Test(arguments: CompressionType.allCases, 0..<8 as Range<UInt64>)
  func `records come back as they were appended`(_ type: CompressionType, seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let samples = Self.samples(&random)
    var builder = BatchBuilder(capacity: 0)
    for (index, sample) in samples.enumerated() {
      let expected = builder.sizeInBytes(
        appendingKey: sample.key?.count, value: sample.value?.count, headers: sample.headers,
        timestamp: sample.timestamp)
      let before = builder.sizeInBytes
      let delta = builder.append(
        key: sample.key, value: sample.value, headers: sample.headers, timestamp: sample.timestamp)
      #expect(delta == Int32(index) && builder.sizeInBytes == before + expected)
    }
    let size = builder.sizeInBytes
    let batch = try builder.build(BatchFields(baseOffset: 1000, compression: type))
    #expect(type != .none || batch.count == size)
    #expect(builder.isEmpty && builder.sizeInBytes == BatchHeader.byteCount)
    #expect(try Self.read(batch) == samples, "seed \(seed)")

    let header = try batch.withUnsafeBufferPointer { try BatchHeader(parsing: UnsafeRawBufferPointer($0)) }
    #expect(header.sizeInBytes == batch.count && header.compression == type)
    #expect(header.recordCount == Int32(samples.count) && header.lastOffsetDelta == header.recordCount - 1)
    #expect(header.maxTimestamp == samples.map(\.timestamp).max())
    #expect(header.baseTimestamp == samples[0].timestamp)
  }

  @Test func `the fields given are in the header`() throws {
    var builder = BatchBuilder(baseTimestamp: 500)
    builder.append(key: nil, value: [1], timestamp: 900)
    let fields = BatchFields(
      baseOffset: 7, partitionLeaderEpoch: 8, producerId: 9, producerEpoch: 10, baseSequence: 11, isTransactional: true,
      lastOffsetDelta: 5, deleteHorizonMs: 500)
    let batch = try builder.build(fields)
    let header = try batch.withUnsafeBufferPointer { try BatchHeader(parsing: UnsafeRawBufferPointer($0)) }
    #expect(header.baseOffset == 7 && header.partitionLeaderEpoch == 8 && header.producerId == 9)
    #expect(header.producerEpoch == 10 && header.baseSequence == 11 && header.lastOffsetDelta == 5)
    #expect(header.isTransactional && !header.isControl && header.deleteHorizonMs == 500)
    #expect(header.recordCount == 1 && header.maxTimestamp == 900)
    #expect(try Self.read(batch).map(\.timestamp) == [900])
  }

  @Test func `an emptied builder builds the next batch from its start`() throws {
    var builder = BatchBuilder()
    builder.append(key: nil, value: [1, 2], timestamp: 5)
    _ = try builder.build(BatchFields(compression: .lz4))
    builder.append(key: [3], value: nil, timestamp: 1)
    let batch = try builder.build()
    #expect(try Self.read(batch) == [Sample(key: [3], value: nil, headers: [], timestamp: 1)])
  }

  @Test func `a batch without records is a header`() throws {
    var builder = BatchBuilder()
    let batch = try builder.build(BatchFields(baseOffset: 4, lastOffsetDelta: 9))
    #expect(batch.count == BatchHeader.byteCount)
    #expect(try Self.read(batch).isEmpty)
  }

  @Test func `the end of a transaction is a control batch that reads back`() throws {
    for isCommit in [true, false] {
      let marker = EndTransactionMarker(isCommit: isCommit, coordinatorEpoch: 12)
      let batch = marker.batch(producerId: 5, producerEpoch: 3, timestamp: 99, baseOffset: 42)
      try batch.withUnsafeBufferPointer { bytes in
        let view = try BatchView(UnsafeRawBufferPointer(bytes))
        try view.verifyChecksum()
        #expect(view.header.isControl && view.header.isTransactional && view.header.baseOffset == 42)
        #expect(view.header.producerId == 5 && view.header.producerEpoch == 3 && view.header.baseSequence == -1)
        try view.forEachRecord { record in
          #expect(EndTransactionMarker(record) == marker)
          #expect(record.key.map { [UInt8]($0) } == [0, 0, 0, isCommit ? 1 : 0])
          #expect(record.value.map { [UInt8]($0) } == [0, 0, 0, 0, 0, 12])
        }
      }
    }
  }

  @Test func `copied records keep everything but their offset`() throws {
    var random = SeededGenerator(seed: 3)
    let samples = Self.samples(&random)
    var builder = BatchBuilder()
    for sample in samples {
      builder.append(key: sample.key, value: sample.value, headers: sample.headers, timestamp: sample.timestamp)
    }
    let batch = try builder.build(BatchFields(compression: .zstd))
    var copy = BatchBuilder()
    try batch.withUnsafeBufferPointer { bytes in
      try BatchView(UnsafeRawBufferPointer(bytes)).forEachRecord { copy.append(copying: $0) }
    }
    #expect(try Self.read(try copy.build()) == samples)
  }
}
