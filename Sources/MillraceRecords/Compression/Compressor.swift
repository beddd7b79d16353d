// Compresses record sections, keeping the libraries' contexts from one batch to the next. One user at a time.

package struct Compressor: ~Copyable {
  var zlib = ZlibDeflater()
  var lz4 = LZ4Encoder()
  var zstd = ZstdEncoder()

  package init() {}

  /// Appends the compressed `input` to `output`. `level` counts as Kafka's `compression.<codec>.level` does; nil is the
  /// codec's default, and a level out of range is taken as the nearest.
  package mutating func compress(
    _ type: CompressionType, level: Int32? = nil, _ input: UnsafeRawBufferPointer, into output: inout ByteScratch
  ) throws(CompressionError) {
    let level = CompressionLevel.clamped(level, for: type)
    switch type {
    case .none: output.append(input)
    case .gzip: try zlib.compress(input, level: level, into: &output)
    case .snappy: try SnappyFraming.compress(input, into: &output)
    case .lz4: try lz4.compress(input, level: level, into: &output)
    case .zstd: try zstd.compress(input, level: level, into: &output)
    }
  }
}
