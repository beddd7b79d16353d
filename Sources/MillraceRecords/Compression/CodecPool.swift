// Codecs that wait for their next batch. There are as many as there were threads at work at once, up to a bound.

import Synchronization

/// What is kept: contexts of up to a few hundred KiB (zstd's compressor over a MiB), and an output buffer.
private let keptCodecs = 8
/// An output buffer that a large batch has grown beyond this is not kept.
private let keptOutputByteCount = 1 << 20

// Unchecked: a codec has one owner at a time, either the pool or whoever borrowed it, and the pool's lock is between them.
final class DecompressionCodec: @unchecked Sendable {
  var decompressor = Decompressor()
  var output = ByteScratch()

  private static let idle = Mutex<[DecompressionCodec]>([])

  static func borrow() -> DecompressionCodec {
    idle.withLock { $0.popLast() } ?? DecompressionCodec()
  }

  static func giveBack(_ codec: DecompressionCodec) {
    codec.output.shrink(to: keptOutputByteCount)
    idle.withLock { if $0.count < keptCodecs { $0.append(codec) } }
  }
}

final class CompressionCodec: @unchecked Sendable {
  var compressor = Compressor()
  var output = ByteScratch()

  private static let idle = Mutex<[CompressionCodec]>([])

  static func borrow() -> CompressionCodec {
    idle.withLock { $0.popLast() } ?? CompressionCodec()
  }

  static func giveBack(_ codec: CompressionCodec) {
    codec.output.shrink(to: keptOutputByteCount)
    idle.withLock { if $0.count < keptCodecs { $0.append(codec) } }
  }
}
