import Testing

@testable import MillraceRecords

@Suite struct `Record walk` {
  struct Findings: Equatable {
    var maxTimestamp: Int64
    var indexOfMaxTimestamp: Int32
    var minTimestamp: Int64
    var isSequential: Bool
    var hasRecordWithoutKey: Bool
  }

  /// What a walk finds in `section` cut at `cuts`; nil if it is not what the header says.
  static func walk(_ section: [UInt8], of header: BatchHeader, cuts: [Int] = []) -> Findings? {
    section.withUnsafeBytes { section in
      var walk = RecordWalk(of: header)
      var start = 0
      for end in cuts + [section.count] {
        walk.read(UnsafeRawBufferPointer(rebasing: section[start..<end]))
        start = end
      }
      do { try walk.finish() } catch { return nil }
      return Findings(
        maxTimestamp: walk.maxTimestamp, indexOfMaxTimestamp: walk.indexOfMaxTimestamp,
        minTimestamp: walk.minTimestamp, isSequential: walk.isSequential,
        hasRecordWithoutKey: walk.hasRecordWithoutKey)
    }
  }

  /// The same by iterating.
  static func iterate(_ section: [UInt8], of header: BatchHeader) -> Findings? {
    section.withUnsafeBytes { section in
      var findings = Findings(
        maxTimestamp: -1, indexOfMaxTimestamp: 0, minTimestamp: .max, isSequential: true, hasRecordWithoutKey: false)
      var records = RecordIterator(section, of: header)
      var index: Int32 = 0
      do {
        while let record = try records.next() {
          if record.timestamp > findings.maxTimestamp {
            findings.maxTimestamp = record.timestamp
            findings.indexOfMaxTimestamp = index
          }
          if record.timestamp != -1 { findings.minTimestamp = min(findings.minTimestamp, record.timestamp) }
          if record.offsetDelta != index { findings.isSequential = false }
          if !record.hasKey { findings.hasRecordWithoutKey = true }
          index += 1
        }
      } catch { return nil }
      return findings
    }
  }

  static func sections(seed: UInt64) throws -> (header: BatchHeader, section: [UInt8], random: SeededGenerator) {
    var random = SeededGenerator(seed: seed)
    let batch = try `Injured bytes`.batch(.none, &random)
    return (batch.withUnsafeBytes { BatchHeader(unchecked: $0) }, Array(batch[BatchHeader.byteCount...]), random)
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func `it finds what iterating finds, wherever the records are cut`(seed: UInt64) throws {
    let (header, section, generator) = try Self.sections(seed: seed)
    var random = generator
    let expected = try #require(Self.iterate(section, of: header))
    #expect(Self.walk(section, of: header) == expected)
    for cut in 0...section.count {
      #expect(Self.walk(section, of: header, cuts: [cut]) == expected, "seed \(seed), cut at \(cut)")
    }
    for _ in 0..<50 {
      let cuts = (0..<Int.random(in: 2...20, using: &random)).map { _ in
        Int.random(in: 0...section.count, using: &random)
      }
      #expect(Self.walk(section, of: header, cuts: cuts.sorted()) == expected, "seed \(seed), cuts \(cuts)")
    }
    #expect(Self.walk(section, of: header, cuts: Array(0...section.count)) == expected)
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func `it accepts of injured records what iterating accepts, wherever they are cut`(seed: UInt64) throws {
    let (header, section, generator) = try Self.sections(seed: 100 + seed)
    var random = generator
    for _ in 0..<200 {
      let injured = `Injured bytes`.mutate(section, &random)
      let expected = Self.iterate(injured, of: header)
      let cuts = (0..<6).map { _ in Int.random(in: 0...injured.count, using: &random) }.sorted()
      #expect(Self.walk(injured, of: header) == expected, "seed \(seed): \(injured)")
      #expect(Self.walk(injured, of: header, cuts: cuts) == expected, "seed \(seed), cuts \(cuts): \(injured)")
    }
  }

  @Test func `a record far larger than the pieces is walked without being held`() throws {
    for type in CompressionType.allCases where type != .none {
      var builder = BatchBuilder()
      builder.append(key: [1], value: [UInt8](repeating: 7, count: 3 << 20), timestamp: 5)
      builder.append(key: nil, value: [1], timestamp: 6)
      let batch = try builder.build(BatchFields(compression: type))
      try batch.withUnsafeBufferPointer { bytes in
        let walk = try BatchView(UnsafeRawBufferPointer(bytes)).walkRecords(limit: 4 << 20)
        #expect(walk.maxTimestamp == 6 && walk.minTimestamp == 5 && walk.indexOfMaxTimestamp == 1)
        #expect(walk.isSequential && walk.hasRecordWithoutKey)
      }
    }
  }
}
