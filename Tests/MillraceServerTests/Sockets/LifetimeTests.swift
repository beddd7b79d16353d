import MillraceBroker
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import MillraceServer

@Suite struct LifetimeTests {
  @Test func `connections beyond the limit are closed, with a line, and a place that becomes free is taken`()
    async throws
  {
    let log = LogCapture()
    try await withServer(FakeBroker.echo, .test { $0.maxConnections = 2 }, log: log) { server, port in
      let first = try TestSocket(port: port)
      var second: TestSocket? = try TestSocket(port: port)
      try await eventually { server.connectionCount == 2 }
      let third = try TestSocket(port: port)
      #expect(await third.isClosedByServer())
      #expect(log.all.count == 1 && log.all[0].contains("max.connections (2)"))
      try await first.sendFrame([1])
      #expect(try await first.receiveFrame() == [1])
      withExtendedLifetime(second) {}
      second = nil
      try await eventually { server.connectionCount == 1 }
      let fourth = try TestSocket(port: port)
      try await fourth.sendFrame([4])
      #expect(try await fourth.receiveFrame() == [4])
    }
  }

  @Test func `connections of one address are limited`() async throws {
    let log = LogCapture()
    try await withServer(FakeBroker.echo, .test { $0.maxConnectionsPerAddress = 1 }, log: log) { server, port in
      let first = try TestSocket(port: port)
      try await eventually { server.connectionCount == 1 }
      #expect(try await TestSocket(port: port).isClosedByServer())
      #expect(log.all.count == 1 && log.all[0].contains("max.connections.per.ip (1)"))
      withExtendedLifetime(first) {}
    }
  }

  @Test func `connections beyond the rate wait and are served`() async throws {
    try await withServer(FakeBroker.echo, .test { $0.maxConnectionCreationRate = 3 }) { _, port in
      let start = ContinuousClock.now
      for index in 0..<8 {
        let client = try TestSocket(port: port)
        try await client.sendFrame([UInt8(index)])
        #expect(try await client.receiveFrame() == [UInt8(index)])
      }
      #expect(ContinuousClock.now - start >= .seconds(1))
    }
  }

  @Test func `an idle connection is closed, a busy one is not`() async throws {
    let limit = Duration.seconds(3)
    try await withServer(FakeBroker.echo, .test { $0.maxIdle = limit }) { server, port in
      var longestPause: Duration
      var isBusyServed: Bool
      // On a machine that stands still both are idle: then it is tried again.
      repeat {
        let start = ContinuousClock.now
        let idle = try TestSocket(port: port)
        let busy = try TestSocket(port: port)
        try await eventually { server.connectionCount == 2 }
        longestPause = .zero
        isBusyServed = true
        var isIdleOpen = true
        var last = start
        while isBusyServed, isIdleOpen, last - start < .seconds(60) {
          isIdleOpen = server.connectionCount == 2
          do {
            try await busy.sendFrame([1])
            isBusyServed = try await busy.receiveFrame() == [1]
          } catch {
            isBusyServed = false
          }
          longestPause = max(longestPause, .now - last)
          last = .now
          try await Task.sleep(for: .milliseconds(20))
        }
        guard isBusyServed else { continue }
        #expect(ContinuousClock.now - start >= limit)
        #expect(await idle.isClosedByServer())
      } while !isBusyServed && longestPause > limit / 3
      #expect(isBusyServed)
    }
  }

  @Test func `stopping answers what was taken and then closes`() async throws {
    let held = Held()
    let log = LogCapture()
    try await withServer(held.broker, log: log, stopWithin: .seconds(60)) { server, port in
      let client = try TestSocket(port: port)
      let idle = try TestSocket(port: port)
      try await client.sendFrame([1])
      try await client.sendFrame([2])
      try await held.arrive(2)
      async let stopped: Void = server.stop(within: .seconds(60))
      #expect(await idle.isClosedByServer())
      #expect(throws: TestSocket.Failure.self) { try TestSocket(port: port) }
      held.answer(1)
      held.answer(0)
      #expect(try await client.receiveFrame() == [1])
      #expect(try await client.receiveFrame() == [2])
      #expect(await client.isClosedByServer())
      await stopped
      #expect(server.connectionCount == 0)
      #expect(log.all == [])
    }
  }

  @Test func `what is not answered in time is given up when stopping`() async throws {
    let held = Held()
    try await withServer(held.broker) { server, port in
      let client = try TestSocket(port: port)
      try await client.sendFrame([1])
      try await held.arrive(1)
      let start = ContinuousClock.now
      await server.stop(within: .milliseconds(200))
      // Not for as long as the answer takes, which never comes.
      #expect(ContinuousClock.now - start < .seconds(60))
      #expect(await client.isClosedByServer())
      held.answer(0)
    }
  }

  @Test func `a last answer is not lost though the client was still sending`() async throws {
    let held = Held()
    try await withServer(held.broker, .test { $0.maxInFlightPerConnection = 1 }) { server, port in
      let client = try TestSocket(port: port)
      let answer = [UInt8](repeating: 3, count: 300_000)
      try await client.sendFrame(answer)
      try await held.arrive(1)
      // Unread input would turn the close into a reset.
      for _ in 0..<100 { try await client.sendFrame([UInt8](repeating: 0, count: 1000)) }
      async let stopped: Void = server.stop(within: .seconds(60))
      try await Task.sleep(for: .milliseconds(50))
      held.answer(0)
      #expect(try await client.receiveFrame() == answer)
      #expect(await client.isClosedByServer())
      await stopped
    }
  }

  @Test func `the broker learns who calls, and when the caller is gone`() async throws {
    let seen = Mutex<[ConnectionInfo]>([])
    let broker = FakeBroker { frame, connection, slot in
      seen.withLock { $0.append(connection) }
      slot.fulfil(.echo(frame))
    }
    try await withServer(broker) { server, port in
      for _ in 0..<2 {
        let client = try TestSocket(port: port)
        try await client.sendFrame([1])
        _ = try await client.receiveFrame()
      }
      try await eventually { server.connectionCount == 0 }
      let infos = seen.withLock { $0 }
      #expect(infos.map(\.clientHost) == ["/127.0.0.1", "/127.0.0.1"])
      #expect(infos.map(\.listener) == ["PLAINTEXT", "PLAINTEXT"])
      #expect(infos[0].id != infos[1].id)
      #expect(infos.allSatisfy { $0.isClosed })
    }
  }

  @Test func `the broker can come back to a connection's thread`() async throws {
    let broker = FakeBroker { frame, connection, slot in
      let loop = MultiThreadedEventLoopGroup.currentEventLoop
      Task.detached {
        connection.execute {
          let same = MultiThreadedEventLoopGroup.currentEventLoop === loop
          slot.fulfil(.echo(ByteBuffer(bytes: [same ? 1 : 0])))
        }
      }
    }
    try await withServer(broker) { _, port in
      let client = try TestSocket(port: port)
      try await client.sendFrame([9])
      #expect(try await client.receiveFrame() == [1])
    }
  }
}
