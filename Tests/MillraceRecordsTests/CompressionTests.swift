import CMillraceCodecs
import Testing

@testable import MillraceRecords

@Suite struct `Compression of record sections` {
  static let codecs: [CompressionType] = [.gzip, .snappy, .lz4, .zstd]

  static func compress(_ type: CompressionType, level: Int32? = nil, _ bytes: [UInt8]) throws -> [UInt8] {
    try bytes.withUnsafeBufferPointer { try Compression.compress(type, level: level, UnsafeRawBufferPointer($0)) }
  }

  static func decompress(
    _ type: CompressionType, _ bytes: [UInt8], limit: Int = 1 << 24
  ) throws(CompressionError) -> [UInt8] {
    try bytes.withUnsafeBufferPointer { (bytes) throws(CompressionError) in
      try Compression.decompress(type, UnsafeRawBufferPointer(bytes), limit: limit)
    }
  }

  static func error(_ type: CompressionType, _ bytes: [UInt8], limit: Int = 1 << 24) -> CompressionError? {
    do {
      _ = try decompress(type, bytes, limit: limit)
      return nil
    } catch { return error }
  }

  @Test(arguments: CompressionType.allCases)
  func `what is compressed comes back, at every size`(_ type: CompressionType) throws {
    var random = SeededGenerator(seed: 7)
    for size in [0, 1, 2, 100, 4095, 32_768, 32_769, 65_536, 65_537, 300_000] {
      for bytes in [random.text(size), random.bytes(size), [UInt8](repeating: 0, count: size)] {
        #expect(try Self.decompress(type, Self.compress(type, bytes)) == bytes, "size \(size)")
      }
    }
  }

  @Test(arguments: codecs)
  func `any level is taken, also one out of range`(_ type: CompressionType) throws {
    var random = SeededGenerator(seed: 8)
    let bytes = random.text(20_000)
    for level: Int32? in [nil, .min, -1, 1, 3, 9, 12, .max] {
      let compressed = try Self.compress(type, level: level, bytes)
      // zstd's fastest levels hardly compress.
      #expect(compressed.count < bytes.count / 2 || type == .zstd && level == .min)
      #expect(try Self.decompress(type, compressed) == bytes)
    }
  }

  @Test(arguments: CompressionType.allCases)
  func `output up to the limit is given and one byte more is refused`(_ type: CompressionType) throws {
    var random = SeededGenerator(seed: 9)
    for size in [1, 1000, 100_000] {
      let compressed = try Self.compress(type, random.text(size))
      #expect(try Self.decompress(type, compressed, limit: size).count == size)
      #expect(Self.error(type, compressed, limit: size - 1) == .limitExceeded(size - 1))
      #expect(Self.error(type, compressed, limit: 0) == .limitExceeded(0))
    }
  }

  @Test(arguments: codecs)
  func `a bomb ends in an error`(_ type: CompressionType) throws {
    let bomb = try Self.compress(type, [UInt8](repeating: 0, count: 64 << 20))
    #expect(Self.error(type, bomb, limit: 1 << 20) == .limitExceeded(1 << 20))
  }

  @Test(arguments: codecs)
  func `a cut-off stream is corrupt at every cut`(_ type: CompressionType) throws {
    var random = SeededGenerator(seed: 10)
    let compressed = try Self.compress(type, random.text(500))
    for count in 0..<compressed.count {
      // The Java framing has no end mark: a cut between header and first block leaves an empty stream.
      if type == .snappy, count == SnappyFraming.headerByteCount { continue }
      #expect(Self.error(type, Array(compressed.prefix(count))) == .corrupt, "\(count) of \(compressed.count) bytes")
    }
  }

  @Test(arguments: codecs)
  func `bytes behind the end are refused`(_ type: CompressionType) throws {
    let compressed = try Self.compress(type, Array("some records".utf8))
    #expect(Self.error(type, compressed + [1, 2, 3, 4, 5]) == .corrupt)
  }

  @Test(arguments: [CompressionType.gzip, .zstd])
  func `streams one after the other are one`(_ type: CompressionType) throws {
    let first = Array("first ".utf8)
    let second = Array("second".utf8)
    #expect(try Self.decompress(type, Self.compress(type, first) + Self.compress(type, second)) == first + second)
  }

  @Test func `zstd without a stated size streams`() throws {
    var random = SeededGenerator(seed: 11)
    let bytes = random.text(300_000)
    let context = ZSTD_createCCtx()
    defer { ZSTD_freeCCtx(context) }
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0)
    var compressed = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
    let count = ZSTD_compress2(context, &compressed, compressed.count, bytes, bytes.count)
    compressed.removeLast(compressed.count - count)
    #expect(ZSTD_getFrameContentSize(compressed, compressed.count) == UInt64.max)
    #expect(try Self.decompress(.zstd, compressed) == bytes)
    #expect(Self.error(.zstd, compressed, limit: 100_000) == .limitExceeded(100_000))
  }

  @Test func `zstd that states an absurd size is refused at once`() throws {
    // A frame header with an eight-byte content size of 2^62 and an empty last raw block.
    let frame: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x01, 0, 0]
    #expect(Self.error(.zstd, frame) == .limitExceeded(1 << 24))
  }

  @Test func `snappy comes bare, framed, and with the frame's header again`() throws {
    var random = SeededGenerator(seed: 12)
    let bytes = random.text(90_000)
    var bare = [UInt8](repeating: 0, count: snappy_max_compressed_length(bytes.count))
    var count = bare.count
    bytes.withUnsafeBytes { source in
      bare.withUnsafeMutableBytes { target in
        _ = snappy_compress(
          source.baseAddress!.assumingMemoryBound(to: CChar.self), source.count,
          target.baseAddress!.assumingMemoryBound(to: CChar.self), &count)
      }
    }
    bare.removeLast(bare.count - count)
    #expect(try Self.decompress(.snappy, bare) == bytes)
    let framed = try Self.compress(.snappy, bytes)
    #expect(framed.starts(with: [0x82, 0x53, 0x4E, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]))
    #expect(try Self.decompress(.snappy, framed + framed) == bytes + bytes)
  }

  @Test func `snappy that states a length it cannot fill is refused before memory is taken`() {
    // A varint of 2^28 and one literal byte.
    #expect(Self.error(.snappy, [0x80, 0x80, 0x80, 0x80, 0x01, 0x00, 0x41], limit: .max) == .corrupt)
  }

  @Test(arguments: [LZ4F_max64KB, LZ4F_max256KB, LZ4F_max1MB, LZ4F_max4MB], [LZ4F_blockLinked, LZ4F_blockIndependent])
  func `lz4 is read in any variant of its frame`(_ size: LZ4F_blockSizeID_t, _ mode: LZ4F_blockMode_t) throws {
    var random = SeededGenerator(seed: 13)
    let bytes = random.text(300_000)
    for checksums in [false, true] {
      var preferences = LZ4F_preferences_t()
      preferences.frameInfo.blockSizeID = size
      preferences.frameInfo.blockMode = mode
      preferences.frameInfo.contentChecksumFlag = checksums ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum
      preferences.frameInfo.blockChecksumFlag = checksums ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum
      preferences.frameInfo.contentSize = checksums ? UInt64(bytes.count) : 0
      var compressed = [UInt8](repeating: 0, count: LZ4F_compressFrameBound(bytes.count, &preferences))
      let count = LZ4F_compressFrame(&compressed, compressed.count, bytes, bytes.count, &preferences)
      compressed.removeLast(compressed.count - count)
      #expect(try Self.decompress(.lz4, compressed) == bytes)
    }
  }

  @Test func `lz4 is written with independent 64 KiB blocks and a right header checksum`() throws {
    let compressed = try Self.compress(.lz4, [UInt8](repeating: 65, count: 200_000))
    // Magic; version 1 with independent blocks; 64 KiB; the second byte of xxHash32 over the two.
    #expect(Array(compressed.prefix(7)) == [0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82])
  }

  @Test(arguments: codecs, 0..<20 as Range<UInt64>)
  func `injured streams end in an error or in bounded output`(_ type: CompressionType, seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let compressed = try Self.compress(type, random.text(3000))
    for _ in 0..<50 {
      var injured = compressed
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        injured[Int.random(in: 0..<injured.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
      }
      if let output = try? Self.decompress(type, injured, limit: 10_000) { #expect(output.count <= 10_000) }
    }
    // The codec is none the worse for it.
    #expect(try Self.decompress(type, compressed).count == 3000, "seed \(seed)")
  }
}
