// lz4 in its frame format. Written as the Java client writes: independent blocks of 64 KiB, no content size, no
// checksum of the content. Read in any of the format's variants, but exactly one frame: Java consumers stop there.

import CMillraceCodecs

struct LZ4Decoder: ~Copyable {
  private var context: OpaquePointer?

  init() {}

  deinit {
    LZ4F_freeDecompressionContext(context)
  }

  private mutating func ready() throws(CompressionError) -> OpaquePointer {
    if context == nil {
      guard LZ4F_isError(LZ4F_createDecompressionContext(&context, UInt32(LZ4F_VERSION))) == 0 else { throw .failed }
    }
    guard let context else { throw .failed }
    LZ4F_resetDecompressionContext(context)
    return context
  }

  /// Whether the frame's descriptor asks for blocks of 1 or 4 MiB. A context keeps memory for the largest block it met,
  /// and Kafka's clients send 64 KiB.
  private static func needsLargeBlocks(_ frame: UnsafeRawBufferPointer) -> Bool {
    frame.count > 5 && (frame[5] >> 4) & 7 > UInt8(LZ4F_max256KB.rawValue)
  }

  private mutating func discardContext() {
    LZ4F_freeDecompressionContext(context)
    context = nil
  }

  mutating func decompress<Output: DecompressionOutput & ~Copyable>(
    _ input: UnsafeRawBufferPointer, to output: inout Output, limit: Int
  ) throws(CompressionError) {
    let context = try ready()
    defer { if Self.needsLargeBlocks(input) { discardContext() } }
    var options = LZ4F_decompressOptions_t()
    var consumed = 0
    while true {
      let rest = UnsafeRawBufferPointer(rebasing: input[consumed...])
      let room = output.room(expecting: rest.count * 4, limit: limit)
      var written = room.count
      var taken = rest.count
      let hint = LZ4F_decompress(context, room.baseAddress, &written, rest.baseAddress, &taken, &options)
      guard LZ4F_isError(hint) == 0, taken > 0 || written > 0 else { throw .corrupt }
      consumed += taken
      let filled = written == room.count
      try output.take(written: written, limit: limit)
      if hint == 0 { break }
      // The frame wants more: more output memory, or input that is not there.
      if !filled, consumed == input.count { throw .corrupt }
    }
    guard consumed == input.count else { throw .corrupt }
  }
}

struct LZ4Encoder: ~Copyable {
  private var context: OpaquePointer?

  init() {}

  deinit {
    LZ4F_freeCompressionContext(context)
  }

  /// lz4-java uses the fast compressor for Kafka's default level and the high compressor, from its lowest level 3 to its
  /// highest 12, for any other.
  private static func frameLevel(_ level: Int32) -> Int32 {
    level == CompressionLevel.defaultLevel(for: .lz4) ? 0 : min(max(level, 3), 12)
  }

  mutating func compress(
    _ input: UnsafeRawBufferPointer, level: Int32, into output: inout ByteScratch
  ) throws(CompressionError) {
    if context == nil {
      guard LZ4F_isError(LZ4F_createCompressionContext(&context, UInt32(LZ4F_VERSION))) == 0 else { throw .failed }
    }
    var preferences = LZ4F_preferences_t()
    preferences.frameInfo.blockSizeID = LZ4F_max64KB
    preferences.frameInfo.blockMode = LZ4F_blockIndependent
    preferences.compressionLevel = Self.frameLevel(level)
    preferences.autoFlush = 1
    output.reserve(LZ4F_compressFrameBound(input.count, &preferences) + Int(LZ4F_HEADER_SIZE_MAX))
    let room = output.free
    var written = 0
    func take(_ result: Int) throws(CompressionError) {
      guard LZ4F_isError(result) == 0 else { throw .failed }
      written += result
    }
    try take(LZ4F_compressBegin(context, room.baseAddress, room.count, &preferences))
    if input.count > 0 {
      try take(
        LZ4F_compressUpdate(
          context, room.baseAddress! + written, room.count - written, input.baseAddress, input.count, nil))
    }
    try take(LZ4F_compressEnd(context, room.baseAddress! + written, room.count - written, nil))
    output.advance(written)
  }
}
