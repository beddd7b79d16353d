// The bytes of a connection that are not yet requests, and the place where the next read(2) puts more.
//
// NIO asks for a buffer before every read and writes behind what that buffer already holds. So the buffer with the
// beginning of a frame is lent for the next read: the parts of a frame meet where the first one was received, and
// no copy joins them. Between reads a connection owns a buffer only while a frame is incomplete: an idle connection
// holds no memory, whatever its traffic was.
//
//      lend() -> read(2) -> received(_:) -> frames are cut from `input` -> settle(wantedBytes:)
//
// Invariant: a buffer that is lent has no other owner, so NIO's write into it does not copy it.
// Belongs to one event loop.

import NIOCore

final class ReceiveBuffer {
  /// A remainder up to this size is moved to a buffer of its own, so that the pooled one can serve others.
  static let smallRemainderBytes = 16 << 10
  /// A read gets at least this much room.
  static let minReadBytes = 64 << 10
  /// NIO keeps a connection's first buffer for as long as the connection lives, so that one is small.
  static let firstBufferBytes = 512

  /// What has been received and not been consumed. Consumers move its reader index.
  var input = ByteBuffer()

  /// What was lent came back as nothing, and the beginning of a frame went with it.
  private(set) var hasLostInput = false

  private let pool: BufferPool
  private var wantedBytes = Framing.prefixBytes
  private var isFirst = true
  private var isLent = false
  private var lentBytes = 0
  private var keepsPooled = false

  init(pool: BufferPool) { self.pool = pool }

  /// The buffer for the next read: what is in `input`, and room behind it.
  func lend() -> ByteBuffer {
    if isLent, lentBytes > 0 { hasLostInput = true }
    isLent = true
    if isFirst {
      isFirst = false
      return ByteBufferAllocator().buffer(capacity: Self.firstBufferBytes)
    }
    var buffer = ByteBuffer()
    swap(&buffer, &input)
    lentBytes = buffer.readableBytes
    stopKeeping()
    if lentBytes == 0 { return pool.take() }
    makeRoom(in: &buffer)
    return buffer
  }

  /// Takes what a read brought: the lent buffer with more in it, or bytes from elsewhere (a handler in between).
  func received(_ buffer: consuming ByteBuffer) {
    if isLent {
      isLent = false
      lentBytes = 0
      input = buffer
    } else if input.readableBytes == 0 {
      input = buffer
    } else {
      input.writeBuffer(&buffer)
    }
  }

  /// Decides what becomes of the buffer once all whole frames are consumed.
  /// - Parameter wantedBytes: how many bytes `input` has to hold before it is worth looking at again.
  func settle(wantedBytes: Int) {
    self.wantedBytes = wantedBytes
    let remainder = input.readableBytes
    if remainder == 0 {
      guard input.storageCapacity > 0 else { return }
      stopKeeping()
      pool.give(input)
      input = ByteBuffer()
    } else if !keepsPooled, isWorthLeaving(remainder) {
      var own = ByteBufferAllocator().buffer(capacity: remainder)
      own.writeImmutableBuffer(input)
      pool.give(input)
      input = own
    }
  }

  /// Whether a remainder should move to a buffer of its own size.
  private func isWorthLeaving(_ remainder: Int) -> Bool {
    // Behind a consumed large frame: do not hold on to the frame's memory.
    if input.storageCapacity > BufferPool.bufferBytes { return input.readerIndex > 0 }
    guard input.storageCapacity == BufferPool.bufferBytes else { return false }
    keepsPooled = remainder > Self.smallRemainderBytes && pool.keep()
    return !keepsPooled
  }

  /// Drops everything: the connection is closed, or what it sends no longer matters.
  func discard() {
    stopKeeping()
    input = ByteBuffer()
    wantedBytes = Framing.prefixBytes
  }

  private func stopKeeping() {
    guard keepsPooled else { return }
    keepsPooled = false
    pool.release()
  }

  /// Makes room for the rest of the frame, or for a good read, moving as little as possible.
  private func makeRoom(in buffer: inout ByteBuffer) {
    let have = buffer.readableBytes
    let goal = max(wantedBytes, have + Self.minReadBytes)
    let isUnique = buffer.modifyIfUniquelyOwned { _ in } != nil
    guard goal > BufferPool.bufferBytes else {
      if isUnique, buffer.storageCapacity >= BufferPool.bufferBytes {
        let fits = buffer.storageCapacity - buffer.readerIndex >= goal
        if !fits || buffer.writableBytes < BufferPool.bufferBytes / 4 { buffer.discardReadBytes() }
      } else {
        var fresh = pool.take()
        fresh.writeImmutableBuffer(buffer)
        if isUnique { pool.give(buffer) }
        buffer = fresh
      }
      return
    }
    // A frame larger than a pooled buffer: grow with what has arrived, not with what was announced.
    let capacity = min(goal, max(2 * have, 2 * BufferPool.bufferBytes))
    if isUnique {
      if buffer.readerIndex > 0 { buffer.discardReadBytes() }
      buffer.reserveCapacity(capacity)
    } else {
      var fresh = ByteBufferAllocator().buffer(capacity: capacity)
      fresh.writeImmutableBuffer(buffer)
      buffer = fresh
    }
  }
}
