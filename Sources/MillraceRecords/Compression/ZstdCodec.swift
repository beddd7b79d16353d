// zstd (KIP-110). A section may be several frames one after the other.

import CMillraceCodecs

struct ZstdDecoder: ~Copyable {
  private var context: OpaquePointer?

  /// A context that a large window has grown beyond this is not kept.
  private static let keptContextByteCount = 4 << 20
  /// A frame that says its size is decompressed in one go, into memory taken at once, if it grows no more than this many
  /// times; anything else streams, so that a lie costs no memory.
  private static let trustedRatio = 64
  /// The largest window taken from a frame: what Java's and librdkafka's decoders allow.
  private static let largestWindowLog: Int32 = 27

  init() {}

  deinit {
    ZSTD_freeDCtx(context)
  }

  private mutating func ready() throws(CompressionError) -> OpaquePointer {
    if context == nil { context = ZSTD_createDCtx() }
    guard let context else { throw .failed }
    ZSTD_DCtx_reset(context, ZSTD_reset_session_only)
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.largestWindowLog)
    return context
  }

  mutating func decompress<Output: DecompressionOutput & ~Copyable>(
    _ input: UnsafeRawBufferPointer, to output: inout Output, limit: Int
  ) throws(CompressionError) {
    let context = try ready()
    if try decompressAtOnce(input, context, to: &output, limit: limit) { return }
    defer {
      if ZSTD_sizeof_DCtx(context) > Self.keptContextByteCount {
        ZSTD_freeDCtx(context)
        self.context = nil
      }
    }
    try stream(input, context, to: &output, limit: limit)
  }

  /// The usual case: a single frame of known, modest size.
  private func decompressAtOnce<Output: DecompressionOutput & ~Copyable>(
    _ input: UnsafeRawBufferPointer, _ context: OpaquePointer, to output: inout Output, limit: Int
  ) throws(CompressionError) -> Bool {
    // The two largest values say "unknown" and "error".
    let stated = ZSTD_getFrameContentSize(input.baseAddress, input.count)
    guard stated < UInt64.max - 1 else { return false }
    guard stated <= UInt64(limit) else { throw .limitExceeded(limit) }
    let size = Int(stated)
    guard size <= max(ByteScratch.minimumCapacity, input.count * Self.trustedRatio),
      ZSTD_findFrameCompressedSize(input.baseAddress, input.count) == input.count,
      let room = output.room(exactly: size)
    else { return false }
    let written = ZSTD_decompressDCtx(context, room.baseAddress, size, input.baseAddress, input.count)
    guard ZSTD_isError(written) == 0, written == size else { throw .corrupt }
    try output.take(written: written)
    return true
  }

  private func stream<Output: DecompressionOutput & ~Copyable>(
    _ input: UnsafeRawBufferPointer, _ context: OpaquePointer, to output: inout Output, limit: Int
  ) throws(CompressionError) {
    var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
    guard input.count > 0 else { throw .corrupt }
    while true {
      let room = output.room(expecting: (input.count - source.pos) * 4, limit: limit)
      var sink = ZSTD_outBuffer(dst: room.baseAddress, size: room.count, pos: 0)
      let hint = ZSTD_decompressStream(context, &sink, &source)
      guard ZSTD_isError(hint) == 0 else { throw .corrupt }
      try output.take(written: sink.pos, limit: limit)
      guard source.pos == input.count else { continue }
      // All input is taken: at the end of a frame that is the end, elsewhere there may be output still to come.
      if hint == 0 { return }
      if sink.pos < sink.size { throw .corrupt }
    }
  }
}

struct ZstdEncoder: ~Copyable {
  private var context: OpaquePointer?

  init() {}

  deinit {
    ZSTD_freeCCtx(context)
  }

  mutating func compress(
    _ input: UnsafeRawBufferPointer, level: Int32, into output: inout ByteScratch
  ) throws(CompressionError) {
    if context == nil { context = ZSTD_createCCtx() }
    guard let context else { throw .failed }
    ZSTD_CCtx_reset(context, ZSTD_reset_session_only)
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)
    output.reserve(ZSTD_compressBound(input.count))
    let room = output.free
    let written = ZSTD_compress2(context, room.baseAddress, room.count, input.baseAddress, input.count)
    guard ZSTD_isError(written) == 0 else { throw .failed }
    output.advance(written)
  }
}
