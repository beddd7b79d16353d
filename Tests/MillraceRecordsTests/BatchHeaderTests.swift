import Testing

@testable import MillraceRecords

@Suite struct `Batch header` {
  /// A header with a different value in every field.
  let header = BatchHeader(
    baseOffset: 0x0102_0304_0506_0708, batchLength: 49, partitionLeaderEpoch: 0x1112_1314, crc: 0x2122_2324,
    attributes: BatchAttributes(rawValue: 0x0034), lastOffsetDelta: 0x3132_3334, baseTimestamp: 0x4142_4344_4546_4748,
    maxTimestamp: 0x5152_5354_5556_5758, producerId: 0x6162_6364_6566_6768, producerEpoch: 0x7172,
    baseSequence: 0x0A0B_0C0D, recordCount: 0x0E0F_1011)

  func bytes(of header: BatchHeader) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: BatchHeader.byteCount) { buffer, count in
      header.write(to: UnsafeMutableRawBufferPointer(buffer))
      count = BatchHeader.byteCount
    }
  }

  @Test func `every field is written big-endian at its place`() {
    let expected: [UInt8] = [
      0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0, 0, 0, 49, 0x11, 0x12, 0x13, 0x14, 2, 0x21, 0x22, 0x23, 0x24,
      0x00, 0x34, 0x31, 0x32, 0x33, 0x34, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x51, 0x52, 0x53, 0x54, 0x55,
      0x56, 0x57, 0x58, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x71, 0x72, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F,
      0x10, 0x11,
    ]
    #expect(bytes(of: header) == expected)
  }

  @Test func `reading returns what was written`() throws {
    let read = try bytes(of: header).withUnsafeBytes { (bytes) throws(BatchError) in try BatchHeader(parsing: bytes) }
    #expect(read == header)
    #expect(read.compression == .zstd)
    #expect(read.isTransactional && read.isControl && !read.hasDeleteHorizon)
    #expect(read.timestampType == .createTime)
  }

  @Test func `too few bytes, another magic and an impossible length are refused`() {
    func parse(_ bytes: [UInt8]) -> BatchError? {
      bytes.withUnsafeBytes { bytes in
        do throws(BatchError) {
          _ = try BatchHeader(parsing: bytes)
          return nil
        } catch { return error }
      }
    }
    let good = bytes(of: header)
    for count in 0..<BatchHeader.byteCount { #expect(parse(Array(good.prefix(count))) == .truncated) }
    for magic in [0, 1, 3, -1] as [Int8] {
      var bytes = good
      bytes[16] = UInt8(bitPattern: magic)
      #expect(parse(bytes) == .unsupportedMagic(magic))
    }
    for length in [48, 0, -1, .min] as [Int32] {
      var header = header
      header.batchLength = length
      #expect(parse(self.bytes(of: header)) == .invalidLength(length))
    }
  }

  @Test func `the last sequence wraps to zero after the largest`() {
    var header = header
    header.baseSequence = .max
    header.lastOffsetDelta = 2
    #expect(header.lastSequence == 1)
    header.baseSequence = BatchHeader.noSequence
    #expect(header.lastSequence == BatchHeader.noSequence)
  }

  @Test func `stamping offset and epoch leaves the checksum valid`() throws {
    var batch = bytes(of: header) + [1, 2, 3]
    header.with(crcOf: &batch)
    batch.withUnsafeBytes { batch in
      let stamped = BatchHeader.stamped(batch, baseOffset: 77, partitionLeaderEpoch: 5)
      let whole = stamped + batch[BatchHeader.byteCount...]
      whole.withUnsafeBytes { whole in
        let header = BatchHeader(unchecked: whole)
        #expect(header.baseOffset == 77 && header.partitionLeaderEpoch == 5)
        #expect(header.isValid(checksumOver: whole))
        #expect(!header.isValid(checksumOver: UnsafeRawBufferPointer(rebasing: whole.dropLast())))
      }
    }
  }

  @Test func `stamping the append time sets it for all records and renews the checksum`() throws {
    var batch = bytes(of: header) + [1, 2, 3]
    header.with(crcOf: &batch)
    batch.withUnsafeBytes { batch in
      let stamped = BatchHeader.stamped(batch, baseOffset: 77, partitionLeaderEpoch: 5, logAppendTime: 1234)
      let whole = stamped + batch[BatchHeader.byteCount...]
      whole.withUnsafeBytes { whole in
        let header = BatchHeader(unchecked: whole)
        #expect(header.timestampType == .logAppendTime && header.maxTimestamp == 1234)
        #expect(header.compression == .zstd && header.isTransactional)
        #expect(header.isValid(checksumOver: whole))
      }
    }
  }
}

extension BatchHeader {
  /// Puts the right checksum into a batch.
  fileprivate func with(crcOf batch: inout [UInt8]) {
    batch.withUnsafeMutableBytes { bytes in
      let crc = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[BatchHeader.checksummedFrom...]))
      bytes.storeBigEndian(crc, at: Field.crc)
    }
  }
}
