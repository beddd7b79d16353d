import NIOCore
import Testing

@testable import MillraceServer

@Suite struct ReceiveBufferTests {
  private let pool = BufferPool()

  /// What NIO does: asks for a buffer and writes behind what it holds.
  private func read(_ bytes: Int, into receive: ReceiveBuffer) {
    var buffer = receive.lend()
    #expect(buffer.writableBytes >= min(bytes, ReceiveBuffer.firstBufferBytes))
    let writable = min(bytes, buffer.writableBytes)
    buffer.writeRepeatingByte(1, count: writable)
    receive.received(buffer)
  }

  private func connection() -> ReceiveBuffer {
    let receive = ReceiveBuffer(pool: pool)
    read(1, into: receive)
    receive.input.clear()
    receive.settle(wantedBytes: 4)
    return receive
  }

  private func address(_ buffer: ByteBuffer) -> UInt {
    buffer.withVeryUnsafeBytes { UInt(bitPattern: $0.baseAddress!) }
  }

  @Test func `a connection without unparsed bytes holds no buffer`() {
    let receive = connection()
    read(5000, into: receive)
    receive.input.moveReaderIndex(forwardBy: 5000)
    receive.settle(wantedBytes: 4)
    #expect(receive.input.storageCapacity == 0)
    #expect(pool.freeCount == 1)
  }

  @Test func `one buffer serves many connections, one after the other`() {
    var seen = Set<UInt>()
    for _ in 0..<100 {
      let receive = connection()
      read(100_000, into: receive)
      seen.insert(address(receive.input))
      receive.input.moveReaderIndex(forwardBy: 100_000)
      receive.settle(wantedBytes: 4)
    }
    #expect(seen.count == 1)
  }

  @Test func `the parts of a frame meet without being moved`() {
    let receive = connection()
    read(100_000, into: receive)
    receive.settle(wantedBytes: 200_000)
    let before = address(receive.input)
    #expect(pool.keptCount == 1)
    read(100_000, into: receive)
    #expect(receive.input.readableBytes == 200_000)
    #expect(address(receive.input) == before)
    receive.input.moveReaderIndex(forwardBy: 200_000)
    receive.settle(wantedBytes: 4)
    #expect(pool.keptCount == 0)
  }

  @Test func `a small remainder moves out of the pooled buffer`() {
    let receive = connection()
    read(1000, into: receive)
    receive.settle(wantedBytes: 2000)
    #expect(receive.input.readableBytes == 1000)
    #expect(receive.input.storageCapacity < 3000)
    #expect(pool.keptCount == 0 && pool.freeCount == 1)
    read(1000, into: receive)
    #expect(receive.input.readableBytes == 2000)
  }

  @Test func `only so many connections keep a pooled buffer`() {
    let many = (0..<50).map { _ in connection() }
    for receive in many {
      read(100_000, into: receive)
      receive.settle(wantedBytes: 200_000)
    }
    #expect(pool.keptCount == BufferPool.maxKept)
    let large = many.filter { $0.input.storageCapacity >= BufferPool.bufferBytes }
    #expect(large.count == BufferPool.maxKept)
    for receive in many { receive.discard() }
    #expect(pool.keptCount == 0)
  }

  @Test func `a buffer whose frames are in use is not written into`() {
    let receive = connection()
    read(100_000, into: receive)
    let frame = receive.input.readSlice(length: 50_000)!
    receive.settle(wantedBytes: 200_000)
    let before = address(frame)
    read(10, into: receive)
    #expect(receive.input.readableBytes == 50_010)
    #expect(address(receive.input) != before)
    #expect(frame.readableBytesView.allSatisfy { $0 == 1 })
  }

  @Test func `a large frame grows with what has arrived`() {
    let receive = connection()
    let wanted = 64 << 20
    var received = 0
    while received < wanted {
      read(wanted - received, into: receive)
      received = receive.input.readableBytes
      #expect(receive.input.storageCapacity <= max(BufferPool.bufferBytes, 4 * received))
      receive.settle(wantedBytes: wanted)
    }
    #expect(received == wanted)
    // What follows the frame does not keep the frame's memory.
    receive.input.moveReaderIndex(forwardBy: wanted - 10)
    receive.settle(wantedBytes: 20)
    #expect(receive.input.readableBytes == 10)
    #expect(receive.input.storageCapacity < 1000)
  }

  @Test func `a frame at the end of a buffer is moved to where it fits`() {
    let receive = connection()
    read(BufferPool.bufferBytes, into: receive)
    receive.input.moveReaderIndex(forwardBy: BufferPool.bufferBytes - 20_000)
    receive.settle(wantedBytes: 100_000)
    read(80_000, into: receive)
    #expect(receive.input.readableBytes == 100_000)
    #expect(receive.input.storageCapacity == BufferPool.bufferBytes)
  }

  @Test func `bytes that were not received into a lent buffer are kept too`() {
    let receive = ReceiveBuffer(pool: pool)
    receive.received(ByteBuffer(string: "ab"))
    receive.received(ByteBuffer(string: "cd"))
    #expect(String(buffer: receive.input) == "abcd")
  }

  @Test func `a lent part of a frame that never comes back is noticed`() {
    let receive = connection()
    read(100, into: receive)
    receive.settle(wantedBytes: 200)
    _ = receive.lend()
    #expect(!receive.hasLostInput)
    _ = receive.lend()
    #expect(receive.hasLostInput)
  }
}
