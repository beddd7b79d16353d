// Cuts what a socket delivers into frames. Bytes arrive in chunks of any size.
//
//    ┌──────────┬───────────────────┐
//    │ size  4  │ size bytes        │ …
//    └──────────┴───────────────────┘
//
// A frame that lies whole in a chunk is a slice of it. One that does not is put together in a buffer of its own, whose
// room grows with what has really arrived: the stated size alone never makes us allocate.

import NIOCore

struct FrameReader {
  enum Failure: Error, Equatable {
    case negativeSize(Int32)
    case tooLarge(Int32, limit: Int)

    /// An alert of TLS begins with 21, 3: what a port for TLS says to those who do not speak it.
    var looksLikeTLS: Bool {
      if case .tooLarge(let size, _) = self { size >> 16 == 0x1503 } else { false }
    }
  }

  /// Room made for a frame before any of its bytes came.
  private static let firstReservation = 1 << 20

  private let limit: Int
  private var chunk = ByteBuffer()
  /// The frame being put together and the bytes it still lacks.
  private var partial: (frame: ByteBuffer, missing: Int)?

  /// - Parameter limit: the size above which a frame is refused.
  init(limit: Int) {
    self.limit = limit
  }

  mutating func receive(_ bytes: ByteBuffer) {
    if chunk.readableBytes == 0 {
      chunk = bytes
    } else {
      // Only the first bytes of a size can be left over.
      var joined = ByteBufferAllocator().buffer(capacity: chunk.readableBytes + bytes.readableBytes)
      joined.writeImmutableBuffer(chunk)
      joined.writeImmutableBuffer(bytes)
      chunk = joined
    }
  }

  /// The next whole frame, without its size; nil when more bytes are needed.
  mutating func next() throws(Failure) -> ByteBuffer? {
    if var (frame, missing) = partial {
      partial = nil
      if var part = chunk.readSlice(length: min(missing, chunk.readableBytes)) {
        missing -= part.readableBytes
        frame.writeBuffer(&part)
      }
      if missing == 0 { return frame }
      partial = (frame, missing)
      return nil
    }
    guard let size = chunk.getInteger(at: chunk.readerIndex, as: Int32.self) else { return nil }
    guard size >= 0 else { throw .negativeSize(size) }
    guard size <= limit else { throw .tooLarge(size, limit: limit) }
    chunk.moveReaderIndex(forwardBy: MemoryLayout<Int32>.size)
    if let frame = chunk.readSlice(length: Int(size)) { return frame }
    let arrived = chunk.readableBytes
    var frame = ByteBufferAllocator().buffer(capacity: min(Int(size), max(arrived, Self.firstReservation)))
    frame.writeBuffer(&chunk)
    chunk = ByteBuffer()
    partial = (frame, Int(size) - arrived)
    return nil
  }
}
