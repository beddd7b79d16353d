// Batches as real clients made them: librdkafka 2.16.0 (with idempotence for none and zstd) and kafka-python 3.0.12,
// each the same ten records, as the partition leader stored them. They lie as hex in Fixtures.

import Foundation
import Testing

@testable import MillraceRecords

@Suite struct `Batches of real clients` {
  static let clients = ["librdkafka", "kafka-python"]

  static func fixture(_ client: String, _ type: CompressionType) throws -> [UInt8] {
    let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Fixtures/\(client)-\(type.name).hex")
    let digits = try String(contentsOf: file, encoding: .utf8).filter { !$0.isNewline }.utf8.map { $0 }
    return stride(from: 0, to: digits.count, by: 2).map { index in
      UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)!
    }
  }

  /// What the clients were given to send. kafka-python takes no null as a header's value.
  static func expected(_ client: String) -> [`Batch builder`.Sample] {
    (0..<10).map { index in
      var headers: [RecordHeader] = []
      if index % 2 == 0 {
        headers = [RecordHeader(key: "trace", value: [UInt8(index)]), RecordHeader(key: "empty", value: [])]
        if client == "librdkafka" { headers.append(RecordHeader(key: "none", value: nil)) }
      }
      let text = String(repeating: "value-\(index) ", count: index + 1)
      return `Batch builder`.Sample(
        key: index % 3 == 0 ? nil : Array("key-\(index)".utf8), value: index == 4 ? nil : Array(text.utf8),
        headers: headers, timestamp: 1_700_000_000_000 + Int64(index) * 1000 - (index == 7 ? 5000 : 0))
    }
  }

  @Test(arguments: clients, CompressionType.allCases)
  func `their records are read`(_ client: String, _ type: CompressionType) throws {
    let batch = try Self.fixture(client, type)
    let header = try batch.withUnsafeBufferPointer { try BatchHeader(parsing: UnsafeRawBufferPointer($0)) }
    #expect(header.compression == type && header.sizeInBytes == batch.count && header.recordCount == 10)
    #expect(try `Batch builder`.read(batch) == Self.expected(client))
  }

  @Test(arguments: clients, CompressionType.allCases)
  func `they pass validation as they are`(_ client: String, _ type: CompressionType) throws {
    let batch = try Self.fixture(client, type)
    let valid = try batch.withUnsafeBufferPointer {
      try ProduceValidation.validate(UnsafeRawBufferPointer($0), ProduceRules(), nowMs: 1_700_000_000_000)
    }
    #expect(valid.rewritten == nil && valid.correctedMaxTimestamp == nil)
    #expect(valid.maxTimestamp == 1_700_000_009_000 && valid.offsetDeltaOfMaxTimestamp == 9)
  }

  @Test(arguments: clients, CompressionType.allCases)
  func `they are stored with another codec without a change to their records`(
    _ client: String, _ target: CompressionType
  ) throws {
    for source in CompressionType.allCases {
      let batch = try Self.fixture(client, source)
      let stored = try batch.withUnsafeBufferPointer {
        try BatchView(UnsafeRawBufferPointer($0)).recompressed(target)
      }
      #expect(try `Batch builder`.read(stored) == Self.expected(client))
      let (before, after) = try (Self.header(batch), Self.header(stored))
      #expect(after.compression == target)
      #expect(after.producerId == before.producerId && after.baseTimestamp == before.baseTimestamp)
    }
  }

  static func header(_ batch: [UInt8]) throws -> BatchHeader {
    try batch.withUnsafeBufferPointer { try BatchHeader(parsing: UnsafeRawBufferPointer($0)) }
  }

  @Test(arguments: clients)
  func `an uncompressed batch is built byte for byte as they build it`(_ client: String) throws {
    let theirs = try Self.fixture(client, .none)
    let header = try Self.header(theirs)
    var builder = BatchBuilder()
    for sample in Self.expected(client) {
      builder.append(key: sample.key, value: sample.value, headers: sample.headers, timestamp: sample.timestamp)
    }
    var fields = BatchFields(of: header)
    fields.lastOffsetDelta = nil
    #expect(try builder.build(fields) == theirs)
  }
}
