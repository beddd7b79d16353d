// The receive buffers of one network thread, all of one size, the most recently used first (it is still in the cache).
//
// A buffer may come back while frames cut from it are still in use. It is handed out again only when nobody else
// refers to it; otherwise the pool forgets it and its last user frees it.
//
// Belongs to one event loop.

import NIOCore

final class BufferPool {
  /// Large enough that a connection under load is read in few calls.
  static let bufferBytes = 1 << 20
  /// Buffers kept for the next reads.
  static let maxFree = 4
  /// Connections that may keep a pooled buffer because most of a frame is already in it. Beyond that, what they have
  /// is copied into a buffer of its own size, so that slow senders cost what they sent and not a whole buffer each.
  static let maxKept = 16

  private var free: [ByteBuffer] = []
  private(set) var keptCount = 0

  /// An empty buffer that nobody else refers to.
  func take() -> ByteBuffer {
    while var buffer = free.popLast() {
      if buffer.modifyIfUniquelyOwned({ $0.clear() }) != nil { return buffer }
    }
    return ByteBufferAllocator().buffer(capacity: Self.bufferBytes)
  }

  /// Takes a buffer back. Buffers of any other size are left to the allocator.
  func give(_ buffer: consuming ByteBuffer) {
    guard free.count < Self.maxFree, buffer.storageCapacity == Self.bufferBytes else { return }
    free.append(buffer)
  }

  /// Whether one more connection may keep its pooled buffer; it says `release()` when it has let go of it.
  func keep() -> Bool {
    guard keptCount < Self.maxKept else { return false }
    keptCount += 1
    return true
  }

  func release() { keptCount -= 1 }

  /// Gives memory back that a quiet thread does not need.
  func trim() { free.removeAll() }

  var freeCount: Int { free.count }
}
