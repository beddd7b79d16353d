import MillraceRecords
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct FetchedChunkTests {
  private let partition = TopicPartition("t", 0)

  /// A batch of records `v0`, `v1`, … from `offset` on.
  private func batch(
    at offset: Int64, _ count: Int, compression: CompressionType = .none, producer: Int64 = -1,
    isTransactional: Bool = false
  ) throws -> [UInt8] {
    var builder = BatchBuilder()
    for index in 0..<count {
      builder.append(
        key: index % 2 == 0 ? Array("k\(index)".utf8) : nil, value: Array("v\(index)".utf8),
        headers: index == 0 ? [.init(key: "h", value: [1, 2])] : [], timestamp: 1000 + Int64(index))
    }
    return try builder.build(
      BatchFields(
        baseOffset: offset, producerId: producer, producerEpoch: 0, baseSequence: 0, isTransactional: isTransactional,
        compression: compression))
  }

  private func marker(at offset: Int64, _ type: ControlRecordType, producer: Int64) throws -> [UInt8] {
    var builder = BatchBuilder()
    builder.append(
      key: type.key, value: EndTransactionMarker(isCommit: type == .commit, coordinatorEpoch: 0).value, timestamp: 0)
    return try builder.build(
      BatchFields(
        baseOffset: offset, producerId: producer, producerEpoch: 0, baseSequence: -1, isTransactional: true,
        isControl: true))
  }

  private func chunk(
    _ batches: [[UInt8]], from position: Int64 = 0, aborted: [(producerId: Int64, firstOffset: Int64)] = []
  ) -> FetchedChunk {
    FetchedChunk(
      partition, token: 1, from: position, highWatermark: 100, records: ByteBuffer(bytes: batches.joined()),
      aborted: AbortedTransactions(aborted))
  }

  private func offsets(_ chunk: inout FetchedChunk, _ isolation: IsolationLevel = .readUncommitted) throws -> [Int64] {
    var offsets: [Int64] = []
    while let batch = try chunk.next(isolation, checksCRCs: true) { offsets += batch.map(\.offset) }
    return offsets
  }

  @Test(arguments: CompressionType.allCases)
  func `records come out as they went in`(_ compression: CompressionType) throws {
    var chunk = chunk([try batch(at: 10, 3, compression: compression)], from: 10)
    let batch = try #require(try chunk.next(.readUncommitted, checksCRCs: true))
    #expect(batch.recordCount == 3)
    #expect(batch.map(\.offset) == [10, 11, 12])
    #expect(batch.map(\.timestamp) == [1000, 1001, 1002])
    #expect(batch.map { $0.value.map { String(buffer: $0) } } == ["v0", "v1", "v2"])
    #expect(batch.map { $0.key.map { String(buffer: $0) } } == ["k0", nil, "k2"])
    let records = Array(batch)
    #expect(records[0].headers == [RecordHeader(key: "h", value: ByteBuffer(bytes: [1, 2]))])
    #expect(records[1].headers.isEmpty)
    #expect(try chunk.next(.readUncommitted, checksCRCs: true) == nil)
    #expect(chunk.position == 13)
  }

  @Test func `records outlive their batch`() throws {
    var records: [ConsumerRecord] = []
    do {
      var chunk = chunk([try batch(at: 0, 50, compression: .zstd)])
      while let batch = try chunk.next(.readUncommitted, checksCRCs: true) { records += batch }
    }
    #expect(records.count == 50)
    #expect(records.last?.value.map { String(buffer: $0) } == "v49")
  }

  @Test func `what lies before the position is passed over`() throws {
    var chunk = chunk([try batch(at: 0, 3), try batch(at: 3, 4)], from: 5)
    #expect(try offsets(&chunk) == [5, 6])
  }

  @Test func `a batch that is cut off ends the chunk`() throws {
    let whole = try batch(at: 0, 3)
    var chunk = chunk([whole, Array(try batch(at: 3, 3).dropLast(1))])
    #expect(try offsets(&chunk) == [0, 1, 2])
    #expect(chunk.position == 3)
  }

  @Test func `the end is behind the last whole batch`() throws {
    let bytes = try batch(at: 0, 3) + batch(at: 3, 3)
    #expect(try FetchedChunk.endOffset(of: ByteBuffer(bytes: bytes)) == 6)
    #expect(try FetchedChunk.endOffset(of: ByteBuffer(bytes: bytes.dropLast(1))) == 3)
    #expect(try FetchedChunk.endOffset(of: ByteBuffer()) == nil)
  }

  @Test func `a damaged batch is an error`() throws {
    var bytes = try batch(at: 0, 3)
    bytes[bytes.count - 1] ^= 1
    var chunk = chunk([bytes])
    #expect(throws: BatchError.self) { try chunk.next(.readUncommitted, checksCRCs: true) }
  }

  @Test func `records that do not parse are an error before any is handed out`() throws {
    // The last byte counts the headers of the last record.
    for headerCount: UInt8 in [0x01, 0x02, 0xFF] {
      var bytes = try batch(at: 0, 3)
      #expect(bytes[bytes.count - 1] == 0)
      bytes[bytes.count - 1] = headerCount
      var chunk = chunk([bytes])
      #expect(throws: BatchError.self) { try chunk.next(.readUncommitted, checksCRCs: false) }
    }
  }

  @Test func `control batches are passed over, and the position is behind them`() throws {
    var chunk = chunk([
      try batch(at: 0, 2, producer: 5, isTransactional: true), try marker(at: 2, .commit, producer: 5),
    ])
    #expect(try offsets(&chunk) == [0, 1])
    #expect(chunk.position == 3)
  }

  @Test func `who reads only what is committed does not see aborted records`() throws {
    let batches = [
      try batch(at: 0, 2, producer: 5, isTransactional: true),
      try batch(at: 2, 1, producer: 6, isTransactional: true),
      try batch(at: 3, 1),
      try marker(at: 4, .abort, producer: 5),
      try batch(at: 5, 2, producer: 5, isTransactional: true),
      try marker(at: 7, .commit, producer: 6),
      try marker(at: 8, .commit, producer: 5),
    ]
    var committed = chunk(batches, aborted: [(5, 0)])
    #expect(try offsets(&committed, .readCommitted) == [2, 3, 5, 6])
    #expect(committed.position == 9)
    var all = chunk(batches, aborted: [(5, 0)])
    #expect(try offsets(&all) == [0, 1, 2, 3, 5, 6])
  }

  @Test func `any bytes end in batches or an error`() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    let good = try batch(at: 0, 5) + batch(at: 5, 5, compression: .lz4) + marker(at: 10, .abort, producer: 1)
    for _ in 0..<3000 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      _ = try? FetchedChunk.endOffset(of: ByteBuffer(bytes: bytes))
      var chunk = chunk([bytes], aborted: [(1, 0)])
      do {
        while let batch = try chunk.next(.readCommitted, checksCRCs: false) {
          for record in batch { _ = (record.key, record.value, record.headers) }
        }
      } catch {}
    }
  }
}
