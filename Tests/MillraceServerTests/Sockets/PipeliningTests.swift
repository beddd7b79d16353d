import MillraceBroker
import NIOCore
import Synchronization
import Testing

@testable import MillraceServer

@Suite struct PipeliningTests {
  @Test func `a request is answered`() async throws {
    try await withServer(FakeBroker.echo) { _, port in
      let client = try TestSocket(port: port)
      try await client.sendFrame(Array("hello".utf8))
      #expect(try await client.receiveFrame() == Array("hello".utf8))
    }
  }

  @Test func `requests arriving together are answered in order`() async throws {
    try await withServer(FakeBroker.echo) { _, port in
      let client = try TestSocket(port: port)
      let requests = (0..<3000).map { index in [UInt8](repeating: UInt8(index % 251), count: index % 97) }
      try await client.send(requests.flatMap(TestSocket.frame))
      for request in requests { #expect(try await client.receiveFrame() == request) }
    }
  }

  @Test func `answers that become ready out of order leave in order`() async throws {
    let held = Held()
    try await withServer(held.broker) { _, port in
      let client = try TestSocket(port: port)
      for index in 0..<8 { try await client.sendFrame([UInt8(index)]) }
      try await held.arrive(8)
      for index in [7, 3, 5, 0, 1, 6, 4, 2] { held.answer(index) }
      for index in 0..<8 { #expect(try await client.receiveFrame() == [UInt8(index)]) }
    }
  }

  @Test func `answers from many threads at once reach their requests`() async throws {
    let broker = FakeBroker { frame, _, slot in
      Task.detached { slot.fulfil(.echo(frame)) }
    }
    try await withServer(broker, .test { $0.networkThreads = 2 }) { _, port in
      let clients = try (0..<8).map { _ in try TestSocket(port: port) }
      let rounds = 50
      for round in 0..<rounds {
        for (index, client) in clients.enumerated() {
          try await client.send(TestSocket.frame([UInt8(index), UInt8(round)]) + TestSocket.frame([UInt8(round)]))
        }
      }
      for round in 0..<rounds {
        for (index, client) in clients.enumerated() {
          #expect(try await client.receiveFrame() == [UInt8(index), UInt8(round)])
          #expect(try await client.receiveFrame() == [UInt8(round)])
        }
      }
    }
  }

  @Test func `a frame that arrives byte by byte is a frame`() async throws {
    try await withServer(FakeBroker.echo) { _, port in
      let client = try TestSocket(port: port)
      let request = (0..<40).map { UInt8($0) }
      for byte in TestSocket.frame(request) {
        try await client.send([byte])
        try await Task.sleep(for: .microseconds(200))
      }
      #expect(try await client.receiveFrame() == request)
    }
  }

  @Test(arguments: [1_000_000, 1_048_576, 3_000_000, 17 << 20, 40 << 20])
  func `a frame of many megabytes arrives whole, and so does what follows it`(size: Int) async throws {
    // Every KiB says where it belongs.
    var expected = ByteBuffer(repeating: 0, count: size)
    for place in stride(from: 0, to: size - 8, by: 1024) { expected.setInteger(place, at: place) }
    let request = expected
    let broker = FakeBroker { frame, _, slot in
      slot.fulfil(.echo(ByteBuffer(string: frame == request ? "whole" : "\(frame.readableBytes) bytes")))
    }
    try await withServer(broker) { _, port in
      let client = try TestSocket(port: port)
      try await client.send(TestSocket.frame(Array(buffer: request)) + TestSocket.frame([1, 2, 3]))
      #expect(try await client.receiveFrame() == Array("whole".utf8))
      #expect(try await client.receiveFrame() == Array("3 bytes".utf8))
    }
  }

  @Test func `many connections are served at once`() async throws {
    try await withServer(FakeBroker.echo, .test { $0.networkThreads = 2 }) { server, port in
      let clients = try (0..<300).map { _ in try TestSocket(port: port) }
      for (index, client) in clients.enumerated() { try await client.sendFrame(Array("client \(index)".utf8)) }
      for (index, client) in clients.enumerated() {
        #expect(try await client.receiveFrame() == Array("client \(index)".utf8))
      }
      #expect(server.connectionCount == 300)
    }
  }

  @Test func `a half-closed client still gets its answers, then the end`() async throws {
    let held = Held()
    try await withServer(held.broker) { _, port in
      let client = try TestSocket(port: port)
      try await client.sendFrame([1])
      try await client.sendFrame([2])
      client.closeOutput()
      try await held.arrive(2)
      held.answer(1)
      held.answer(0)
      #expect(try await client.receiveFrame() == [1])
      #expect(try await client.receiveFrame() == [2])
      #expect(await client.isClosedByServer())
    }
  }

  @Test func `what a half-closed client sent before is answered, though it was more than may be in flight`()
    async throws
  {
    try await withServer(FakeBroker.echo, .test { $0.maxInFlightPerConnection = 1 }) { _, port in
      let client = try TestSocket(port: port)
      let requests = (0..<40).map { [UInt8](repeating: UInt8($0), count: 100_000) }
      var bytes = requests.flatMap(TestSocket.frame)[...]
      while !bytes.isEmpty { bytes = bytes.dropFirst(max(0, client.sendWithoutWaiting(bytes))) }
      client.closeOutput()
      for request in requests { #expect(try await client.receiveFrame() == request) }
      #expect(await client.isClosedByServer())
    }
  }

  @Test func `a request without a response is followed by the next one's`() async throws {
    let broker = FakeBroker { frame, _, slot in
      slot.fulfil(frame.readableBytes == 1 ? .nothing : .echo(frame))
    }
    try await withServer(broker) { _, port in
      let client = try TestSocket(port: port)
      for request in [[1], [1, 2], [1], [1], [3, 4]] as [[UInt8]] { try await client.sendFrame(request) }
      #expect(try await client.receiveFrame() == [1, 2])
      #expect(try await client.receiveFrame() == [3, 4])
    }
  }
}
