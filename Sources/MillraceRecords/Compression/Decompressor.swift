// Decompresses record sections, keeping the libraries' contexts from one batch to the next: making them costs more than
// a small batch does. Output is bounded by a limit, and memory follows the output. One user at a time.

package struct Decompressor: ~Copyable {
  var zlib = ZlibInflater()
  var lz4 = LZ4Decoder()
  var zstd = ZstdDecoder()

  /// No record section is larger, and sums with it cannot overflow.
  private static let largestLimit = 1 << 40

  package init() {}

  /// Replaces the contents of `output` with the decompressed `input`, at most `limit` bytes.
  package mutating func decompress(
    _ type: CompressionType, _ input: UnsafeRawBufferPointer, into output: inout ByteScratch, limit: Int
  ) throws(CompressionError) {
    output.removeAll()
    let limit = min(max(0, limit), Self.largestLimit)
    switch type {
    case .none:
      guard input.count <= limit else { throw .limitExceeded(limit) }
      output.append(input)
    case .gzip: try zlib.decompress(input, into: &output, limit: limit)
    case .snappy: try SnappyFraming.decompress(input, into: &output, limit: limit)
    case .lz4: try lz4.decompress(input, into: &output, limit: limit)
    case .zstd: try zstd.decompress(input, into: &output, limit: limit)
    }
  }
}

extension ByteScratch {
  /// Memory for more output within `limit`: at least one byte, even where nothing more is allowed, so that a codec can
  /// tell whether anything more would come. `grown(by:limit:)` then refuses it.
  mutating func room(expecting expected: Int, limit: Int) -> UnsafeMutableRawBufferPointer {
    let allowed = limit - count + 1
    reserve(min(allowed, max(1, expected)))
    return UnsafeMutableRawBufferPointer(rebasing: free[..<min(allowed, free.count)])
  }

  /// Takes what a codec wrote to `room`.
  mutating func grown(by written: Int, limit: Int) throws(CompressionError) {
    guard count + written <= limit else { throw .limitExceeded(limit) }
    advance(written)
  }
}
