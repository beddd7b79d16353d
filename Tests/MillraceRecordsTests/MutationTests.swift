// Injured batches, made from good ones: nothing may trap, and the quick reading must agree with the careful one.

import Testing

@testable import MillraceRecords

@Suite struct `Injured bytes` {
  static func mutate(_ bytes: [UInt8], from start: Int = 0, _ random: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    guard bytes.count > start else { return bytes }
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      let index = Int.random(in: start..<bytes.count, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes[index] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: bytes[index] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &random)!
      case 3: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: index)
      default: if bytes.count > start + 1 { bytes.remove(at: index) }
      }
    }
    return bytes
  }

  static func batch(_ type: CompressionType, _ random: inout SeededGenerator) throws -> [UInt8] {
    var builder = BatchBuilder()
    for sample in `Batch builder`.samples(&random).prefix(8) {
      builder.append(key: sample.key, value: sample.value, headers: sample.headers, timestamp: sample.timestamp)
    }
    return try builder.build(BatchFields(compression: type))
  }

  @Test(arguments: CompressionType.allCases, 0..<4 as Range<UInt64>)
  func `nothing that reads batches traps`(_ type: CompressionType, seed: UInt64) throws {
    var random = SeededGenerator(seed: 1000 + seed)
    for _ in 0..<20 {
      let batch = try Self.batch(type, &random)
      let injured = Self.mutate(batch, &random)
      injured.withUnsafeBytes { _ = fuzzRecords($0) }
      injured.prefix(Int.random(in: 0...injured.count, using: &random)).withUnsafeBytes { _ = fuzzRecords($0) }
      // The records alone, so that the header's checks do not end it.
      Self.mutate(batch, from: BatchHeader.byteCount, &random).withUnsafeBytes { _ = fuzzRecords($0) }
    }
  }

  @Test(arguments: 0..<8 as Range<UInt64>)
  func `noise does not trap`(seed: UInt64) {
    var random = SeededGenerator(seed: 2000 + seed)
    for size in 0..<100 { random.bytes(size).withUnsafeBytes { _ = fuzzRecords($0) } }
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func `the quick reading of a record is the careful one`(seed: UInt64) throws {
    var random = SeededGenerator(seed: 3000 + seed)
    for _ in 0..<6 {
      let batch = try Self.batch(.none, &random)
      let section = Self.mutate(Array(batch[BatchHeader.byteCount...]), &random)
      section.withUnsafeBytes { section in
        guard let base = section.baseAddress else { return }
        for start in 0...section.count {
          let quick = RecordFields(base, at: start, end: section.count)
          let careful = RecordFields.any(base, at: start, end: section.count)
          if quick.next >= 0 || careful.next >= 0 { #expect(quick == careful, "seed \(seed), at \(start)") }
        }
      }
    }
  }

  @Test func `validation and iteration accept the same records`() throws {
    var random = SeededGenerator(seed: 4000)
    var accepted = 0
    for _ in 0..<200 {
      let batch = try Self.batch(.none, &random)
      var injured = Self.mutate(batch, from: BatchHeader.byteCount, &random)
      var header = batch.withUnsafeBytes { BatchHeader(unchecked: $0) }
      header.seal(&injured)
      injured.withUnsafeBytes { bytes in
        var iterates = true
        do { try BatchView(bytes).forEachRecord { _ in } } catch { iterates = false }
        let rules = ProduceRules(timestampAfterMaxMs: .max)
        let isValid = (try? ProduceValidation.validate(bytes, rules, nowMs: 0)) != nil
        #expect(iterates == isValid)
        if isValid { accepted += 1 }
      }
    }
    #expect(accepted > 0 && accepted < 200)
  }
}
