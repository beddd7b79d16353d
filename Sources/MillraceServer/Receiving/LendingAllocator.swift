// What NIO asks for a buffer before each read of a connection: it lends the connection's own ReceiveBuffer.
//
// It works because NIO asks anew for every read when an allocator names no next size and says that it may grow, and
// the connection reads once per wake-up (`maxMessagesPerRead` = 1). Were NIO to stop asking, ReceiveBuffer would
// still see every byte: what it did not lend it copies.
//
// `@unchecked Sendable`: NIO calls it on the connection's event loop only, where the buffer belongs.

import NIOCore

struct LendingAllocator: RecvByteBufferAllocator, @unchecked Sendable {
  let receiveBuffer: ReceiveBuffer

  func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { receiveBuffer.lend() }

  func nextBufferSize() -> Int? { nil }

  mutating func record(actualReadBytes: Int) -> Bool { true }
}
