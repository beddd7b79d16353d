// Decompresses record sections, keeping the libraries' contexts from one batch to the next: making them costs more than
// a small batch does. Output is bounded by a limit, and memory follows the output. One user at a time.

package struct Decompressor: ~Copyable {
  private var zlib = ZlibInflater()
  private var lz4 = LZ4Decoder()
  private var zstd = ZstdDecoder()

  /// No record section is larger, and sums with it cannot overflow.
  private static let largestLimit = 1 << 40

  package init() {}

  /// Replaces the contents of `output` with the decompressed `input`, at most `limit` bytes.
  package mutating func decompress(
    _ type: CompressionType, _ input: UnsafeRawBufferPointer, into output: inout ByteScratch, limit: Int
  ) throws(CompressionError) {
    output.removeAll()
    try decompress(type, input, to: &output, limit: limit)
  }

  /// Hands the decompressed `input`, at most `limit` bytes, to `output` as it comes.
  mutating func decompress<Output: DecompressionOutput & ~Copyable>(
    _ type: CompressionType, _ input: UnsafeRawBufferPointer, to output: inout Output, limit: Int
  ) throws(CompressionError) {
    let limit = min(max(0, limit), Self.largestLimit)
    switch type {
    case .none:
      guard input.count <= limit else { throw .limitExceeded(limit) }
      try output.take(input)
    case .gzip: try zlib.decompress(input, to: &output, limit: limit)
    case .snappy: try SnappyFraming.decompress(input, to: &output, limit: limit)
    case .lz4: try lz4.decompress(input, to: &output, limit: limit)
    case .zstd: try zstd.decompress(input, to: &output, limit: limit)
    }
  }
}
