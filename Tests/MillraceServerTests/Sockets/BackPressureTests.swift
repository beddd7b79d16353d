import Glibc
import MillraceBroker
import NIOCore
import Synchronization
import Testing

@testable import MillraceServer

@Suite struct BackPressureTests {
  @Test func `a client that does not read stops being served, and others do not notice`() async throws {
    let taken = Atomic<Int>(0)
    let answer = ByteBuffer(repeating: 7, count: 100_000)
    let broker = FakeBroker { _, _, slot in
      taken.wrappingAdd(1, ordering: .relaxed)
      slot.fulfil(.echo(answer))
    }
    try await withServer(broker, .test { $0.sendBufferBytes = 64 << 10 }) { _, port in
      let slow = try TestSocket(port: port, receiveBufferBytes: 64 << 10)
      let requests = 2000
      let bytes = (0..<requests).flatMap { _ in TestSocket.frame([1]) }
      try await slow.send(bytes)
      try await eventually { taken.load(ordering: .relaxed) > 0 }
      try await Task.sleep(for: .milliseconds(100))
      // 100 kB each: what the sockets, the unsent mark and the waiting answers may hold, and no more.
      let taken1 = taken.load(ordering: .relaxed)
      #expect(taken1 < 40)
      let other = try TestSocket(port: port)
      try await other.sendFrame([1])
      #expect(try await other.receiveFrame().count == 100_000)
      for _ in 0..<requests { #expect(try await slow.receiveFrame().count == 100_000) }
    }
  }

  @Test func `a client with too much in flight is not read`() async throws {
    let held = Held()
    try await withServer(held.broker, .test { $0.maxInFlightPerConnection = 5 }) { server, port in
      let client = try TestSocket(port: port)
      for index in 0..<20 { try await client.sendFrame([UInt8(index)]) }
      try await held.arrive(5)
      try await Task.sleep(for: .milliseconds(50))
      #expect(held.count == 5)
      for index in 0..<20 {
        try await held.arrive(index + 1)
        held.answer(index)
        #expect(try await client.receiveFrame() == [UInt8(index)])
      }
    }
  }

  @Test func `the memory of all requests is bounded, and waiting ones go on when it is free`() async throws {
    let held = Held()
    try await withServer(held.broker, .test { $0.maxQueuedRequestBytes = 300_000 }) { server, port in
      let clients = try (0..<10).map { _ in try TestSocket(port: port) }
      let request = [UInt8](repeating: 1, count: 100_000)
      for client in clients { _ = client.sendWithoutWaiting(TestSocket.frame(request)[...]) }
      try await held.arrive(3)
      try await Task.sleep(for: .milliseconds(50))
      #expect(held.count == 3)
      #expect(server.queuedRequestBytes <= 400_000)
      for index in 0..<10 {
        try await held.arrive(index + 1)
        held.answer(index)
      }
      held.forget()
      for client in clients { #expect(try await client.receiveFrame().count == 100_000) }
      #expect(server.queuedRequestBytes == 0)
    }
  }

  @Test func `a connection that breaks gives its memory back`() async throws {
    let held = Held()
    try await withServer(held.broker) { server, port in
      do {
        let client = try TestSocket(port: port)
        try await client.sendFrame([UInt8](repeating: 1, count: 100_000))
        try await held.arrive(1)
        #expect(server.queuedRequestBytes == 100_000)
        client.abort()
      }
      try await eventually { server.connectionCount == 0 }
      #expect(server.queuedRequestBytes == 0)
      held.answer(0)
    }
  }

  @Test func `idle connections keep no receive buffer, whatever they sent before`() async throws {
    let broker = FakeBroker { _, _, slot in slot.fulfil(.echo(ByteBuffer())) }
    try await withServer(broker) { server, port in
      let clients = try (0..<200).map { _ in try TestSocket(port: port) }
      for client in clients {
        try await client.sendFrame([UInt8](repeating: 1, count: 500_000))
        _ = try await client.receiveFrame()
      }
      #expect(try await server.receiveBufferBytes() == 0)
    }
  }
}
