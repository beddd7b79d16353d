// Compresses and decompresses record sections on any thread, with codecs borrowed from a small pool.

package enum Compression {
  /// What a batch may decompress to unless the caller says otherwise: more than any client makes (librdkafka's consumer
  /// stops at 100 MB), and small enough for a decompression bomb to end in an error and not in an empty machine.
  package static let defaultLimit = 128 << 20

  /// The decompressed `input`, of at most `limit` bytes.
  package static func decompress(
    _ type: CompressionType, _ input: UnsafeRawBufferPointer, limit: Int = defaultLimit
  ) throws(CompressionError) -> [UInt8] {
    try withDecompressed(type, input, limit: limit) { [UInt8]($0) }
  }

  /// Calls `body` with the decompressed `input`, of at most `limit` bytes, which is gone when `body` returns. Without
  /// compression that is `input` itself.
  package static func withDecompressed<Result: ~Copyable>(
    _ type: CompressionType, _ input: UnsafeRawBufferPointer, limit: Int = defaultLimit,
    _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(CompressionError) -> Result {
    if type == .none {
      guard input.count <= limit else { throw .limitExceeded(limit) }
      return body(input)
    }
    let codec = DecompressionCodec.borrow()
    defer { DecompressionCodec.giveBack(codec) }
    try codec.decompressor.decompress(type, input, into: &codec.output, limit: limit)
    return body(codec.output.bytes)
  }

  /// The compressed `input`. `level` counts as Kafka's `compression.<codec>.level` does; nil is the default.
  package static func compress(
    _ type: CompressionType, level: Int32? = nil, _ input: UnsafeRawBufferPointer
  ) throws(CompressionError) -> [UInt8] {
    try withCompressed(type, level: level, input) { [UInt8]($0) }
  }

  /// Calls `body` with the compressed `input`, which is gone when `body` returns.
  package static func withCompressed<Result: ~Copyable>(
    _ type: CompressionType, level: Int32? = nil, _ input: UnsafeRawBufferPointer,
    _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(CompressionError) -> Result {
    if type == .none { return body(input) }
    let codec = CompressionCodec.borrow()
    defer { CompressionCodec.giveBack(codec) }
    codec.output.removeAll()
    try codec.compressor.compress(type, level: level, input, into: &codec.output)
    return body(codec.output.bytes)
  }
}
