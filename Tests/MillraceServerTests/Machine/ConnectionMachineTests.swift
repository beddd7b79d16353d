import MillraceBroker
import NIOCore
import Testing

@testable import MillraceServer

@Suite struct ConnectionMachineTests {
  @Test func `requests are taken up as they come and answered in their order`() {
    var t = Transcript()
    #expect(t.receive("a", "b", "c") == ["take up a", "take up b", "take up c"])
    #expect(t.answer("c") == [])
    #expect(t.answer("a") == ["send a"])
    #expect(t.answer("b") == ["send b", "send c"])
    #expect(t.machine.wantsRead)
  }

  @Test func `a frame in pieces is taken up when it is whole`() {
    var t = Transcript()
    #expect(t.receive(bytes: [0, 0]) == [])
    #expect(t.machine.wantedBytes == 4)
    #expect(t.receive(bytes: [0, 2, 0x68]) == [])
    #expect(t.machine.wantedBytes == 6)
    #expect(t.receive(bytes: [0x69, 0, 0]) == ["take up hi"])
    #expect(t.machine.wantedBytes == 4)
    #expect(t.receive(bytes: [0, 1, 0x79]) == ["take up y"])
  }

  @Test func `a small frame is copied, a large one shares the receive buffer`() {
    for (size, shares) in [(100, false), (64 << 10, true)] {
      var machine = Transcript().machine
      var input = ByteBuffer(integer: Int32(size))
      input.writeRepeatingByte(7, count: size)
      guard case .dispatch(let frame, _) = machine.next(&input, reserve: { _, _ in true }) else {
        Issue.record("not taken up")
        continue
      }
      #expect(frame.readableBytes == size)
      let isShared = input.modifyIfUniquelyOwned { _ in } == nil
      #expect(isShared == shares)
      withExtendedLifetime(frame) {}
    }
  }

  @Test func `no more than the limit is in flight, and reading stops meanwhile`() {
    var t = Transcript(maxInFlight: 2)
    #expect(t.receive("a", "b", "c", "d") == ["take up a", "take up b"])
    #expect(!t.machine.wantsRead)
    #expect(t.answer("b") == [])
    #expect(!t.machine.wantsRead, "an answer that cannot leave still counts")
    #expect(t.answer("a") == ["send a", "take up c", "send b", "take up d"])
    #expect(!t.machine.wantsRead)
    #expect(t.answer("c") == ["send c"])
    #expect(t.machine.wantsRead)
  }

  @Test func `a reader that takes nothing gets no more work done`() {
    var t = Transcript()
    #expect(t.receive("a") == ["take up a"])
    t.machine.isWritable = false
    #expect(t.answer("a") == [])
    #expect(t.receive("b") == [])
    #expect(!t.machine.wantsRead)
    t.machine.isWritable = true
    #expect(t.run() == ["take up b", "send a"])
    #expect(t.machine.wantsRead)
  }

  @Test func `answers that pile up behind a slow one stop the reading`() {
    var t = Transcript(maxReadyBytes: 10)
    #expect(t.receive("slow", "0123456789", "c") == ["take up slow", "take up 0123456789", "take up c"])
    #expect(t.answer("0123456789") == [])
    #expect(!t.machine.wantsRead)
    #expect(t.receive("d") == [])
    #expect(t.answer("slow") == ["send slow", "send 0123456789", "take up d"])
  }

  @Test func `a bad length closes after the answers that are owed`() {
    var t = Transcript(maxFrameBytes: 50)
    #expect(t.receive("a") == ["take up a"])
    #expect(t.receive(bytes: [0xff, 0xff, 0xff, 0xfb, 1, 2, 3]) == [])
    #expect(!t.machine.wantsRead)
    #expect(t.receive("never") == [])
    #expect(t.answer("a") == ["send a", "close: a request announced a negative length (-5)"])
    #expect(t.run() == [])
  }

  @Test func `a length above the limit closes at once when nothing is owed`() {
    var t = Transcript(maxFrameBytes: 50)
    #expect(
      t.receive(bytes: [0, 0, 0, 51])
        == ["close: a request announced 51 bytes, more than socket.request.max.bytes (50)"])
  }

  @Test func `the broker can close a connection, in order`() {
    var t = Transcript()
    _ = t.receive("a", "b", "c")
    #expect(t.answer("b", .close(reason: "unknown API key 999")) == [])
    #expect(t.answer("c") == [])
    #expect(t.answer("a") == ["send a", "close: unknown API key 999"])
    #expect(t.run() == [])
  }

  @Test func `a half-closed client is answered to the end`() {
    var t = Transcript()
    _ = t.receive("a", "b")
    _ = t.receive(bytes: [0, 0, 0, 9, 1])
    t.machine.inputClosed()
    #expect(t.run() == [])
    #expect(!t.machine.wantsRead)
    #expect(t.answer("a") == ["send a"])
    #expect(t.answer("b") == ["send b", "finish"])
    #expect(t.run() == [])
  }

  @Test func `requests that arrived before the end are taken up when there is room`() {
    var t = Transcript(maxInFlight: 1)
    #expect(t.receive("a", "b") == ["take up a"])
    t.machine.inputClosed()
    #expect(t.answer("a") == ["send a", "take up b"])
    #expect(t.answer("b") == ["send b", "finish"])
  }

  @Test func `draining answers what was taken and takes nothing more`() {
    var t = Transcript(maxInFlight: 1)
    #expect(t.receive("a", "b") == ["take up a"])
    t.machine.drain()
    #expect(t.run() == [])
    #expect(!t.machine.wantsRead)
    #expect(t.answer("a") == ["send a", "finish"])
    #expect(t.run() == [])
  }

  @Test func `draining an idle connection finishes it`() {
    var t = Transcript()
    t.machine.drain()
    #expect(t.run() == ["finish"])
  }

  @Test func `requests wait for the broker's memory`() {
    var t = Transcript()
    t.memory = 1
    #expect(t.receive("aa", "bb") == ["take up aa", "await memory"])
    #expect(!t.machine.wantsRead)
    #expect(t.run() == [], "it asks once")
    #expect(t.answer("aa") == ["send aa"], "answers go on")
    t.machine.memoryMayBeAvailable()
    #expect(t.run() == ["take up bb"])
    #expect(t.machine.wantsRead)
  }

  @Test func `a large frame has its memory before it arrives, a small one when it is whole`() {
    var t = Transcript()
    t.memory = 500_000
    #expect(t.receive(bytes: [0, 0, 0, 100]) == [])
    #expect(t.memory == 500_000)
    var u = Transcript()
    u.memory = 500_000
    u.arrivingMemory = 500_000
    #expect(u.receive(bytes: [0, 1, 0x86, 0xa0]) == [])
    #expect(u.memory == 500_000)
    #expect(u.arrivingMemory == 400_000)
    #expect(u.receive(bytes: [UInt8](repeating: 0, count: 100_000)) == ["take up 100000 bytes"])
    #expect(u.memory == 400_000)
    #expect(u.arrivingMemory == 500_000)
    _ = u.answer("100000 bytes", .nothing)
    #expect(u.memory == 500_000)
  }

  @Test func `a large frame stops being read while there is no memory for it`() {
    var t = Transcript()
    t.arrivingMemory = 0
    #expect(t.receive(bytes: [0, 1, 0x86, 0xa0]) == ["await memory"])
    #expect(!t.machine.wantsRead)
    t.arrivingMemory = 1
    t.machine.memoryMayBeAvailable()
    #expect(t.run() == [])
    #expect(t.machine.wantsRead)
  }

  @Test func `who announces much and sends little keeps nobody else's requests waiting`() {
    var t = Transcript()
    t.arrivingMemory = 0
    #expect(t.receive("heartbeat") == ["take up heartbeat"])
  }

  @Test func `the end gives all memory back and makes late answers harmless`() {
    var t = Transcript()
    t.memory = 1_000_000
    t.arrivingMemory = 1_000_000
    _ = t.receive("aaaa", "bbbb")
    _ = t.receive(bytes: [0, 1, 0x86, 0xa0])
    #expect(t.memory == 999_992)
    #expect(t.arrivingMemory == 900_000)
    t.memory += t.machine.end()
    t.arrivingMemory += t.machine.takeArrivedBytes()
    #expect(t.memory == 1_000_000)
    #expect(t.arrivingMemory == 1_000_000)
    #expect(t.answer("aaaa") == [])
    #expect(t.memory == 1_000_000)
    #expect(t.receive("c") == [])
    #expect(!t.machine.wantsRead)
  }
}
