import Testing

@testable import MillraceRecords

@Suite struct `Batch iterator` {
  static func batch(offset: Int64, count: Int = 2) throws -> [UInt8] {
    var builder = BatchBuilder()
    for index in 0..<count { builder.append(key: nil, value: [UInt8(index)], timestamp: 1) }
    return try builder.build(BatchFields(baseOffset: offset))
  }

  struct Walk: Equatable {
    var offsets: [Int64] = []
    var errors: [BatchError] = []
    var truncatedByteCount = 0
  }

  static func walk(_ bytes: [UInt8], verifiesChecksums: Bool = true) -> Walk {
    bytes.withUnsafeBytes { bytes in
      var batches = BatchIterator(bytes, verifiesChecksums: verifiesChecksums)
      var walk = Walk()
      while true {
        do throws(BatchError) {
          guard let (batch, range) = try batches.next() else { break }
          #expect(range.count == batch.bytes.count && range.upperBound == batches.position)
          walk.offsets.append(batch.header.baseOffset)
        } catch { walk.errors.append(error) }
      }
      walk.truncatedByteCount = batches.truncatedByteCount
      return walk
    }
  }

  @Test func `batches come one after the other`() throws {
    let region = try Self.batch(offset: 0) + Self.batch(offset: 2) + Self.batch(offset: 4)
    #expect(Self.walk(region) == Walk(offsets: [0, 2, 4]))
    #expect(Self.walk([]) == Walk())
  }

  @Test func `a last batch that is cut off ends the walk and is measured`() throws {
    let first = try Self.batch(offset: 0)
    let second = try Self.batch(offset: 2)
    for count in 1..<second.count {
      #expect(Self.walk(first + second.prefix(count)) == Walk(offsets: [0], truncatedByteCount: count))
    }
  }

  @Test func `a batch with a wrong checksum is reported and passed over`() throws {
    var second = try Self.batch(offset: 2)
    second[second.count - 1] ^= 1
    let region = try Self.batch(offset: 0) + second + Self.batch(offset: 4)
    let walk = Self.walk(region)
    #expect(walk.offsets == [0, 4] && walk.errors.count == 1)
    guard case .corruptChecksum = walk.errors.first else {
      Issue.record("not the checksum: \(walk.errors)")
      return
    }
    #expect(Self.walk(region, verifiesChecksums: false) == Walk(offsets: [0, 2, 4]))
  }

  @Test func `a length or magic that no batch has ends the walk`() throws {
    let region = try Self.batch(offset: 0) + Self.batch(offset: 2)
    let start = region.count / 2
    var noMagic = region
    noMagic[start + 16] = 9
    #expect(Self.walk(noMagic) == Walk(offsets: [0], errors: [.unsupportedMagic(9)]))
    var noLength = region
    noLength.replaceSubrange(start + 8..<start + 12, with: [0, 0, 0, 5])
    #expect(Self.walk(noLength) == Walk(offsets: [0], errors: [.invalidLength(5)]))
  }
}
