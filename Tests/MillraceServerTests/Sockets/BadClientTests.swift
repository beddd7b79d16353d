import Foundation
import MillraceBroker
import NIOCore
import Testing

@testable import MillraceServer

@Suite struct BadClientTests {
  @Test(
    arguments: [
      ([0xff, 0xff, 0xff, 0xff], "negative length (-1)"),
      ([0x7f, 0xff, 0xff, 0xff], "2147483647 bytes"),
      ([0x80, 0x00, 0x00, 0x00], "negative length (-2147483648)"),
      (Array("GET / HTTP/1.1\r\n\r\n".utf8), "1195725856 bytes"),
    ] as [([UInt8], String)])
  func `a length that cannot be closes the connection, with one line`(bytes: [UInt8], said: String) async throws {
    let log = LogCapture()
    try await withServer(FakeBroker.echo, log: log) { server, port in
      let client = try TestSocket(port: port)
      try await client.send(bytes)
      #expect(await client.isClosedByServer())
      #expect(log.all.count == 1)
      #expect(log.all.first?.contains("127.0.0.1:") == true && log.all.first?.contains(said) == true)
      try await eventually { server.connectionCount == 0 }
    }
  }

  @Test func `what was asked before a bad length is answered`() async throws {
    try await withServer(FakeBroker.echo) { _, port in
      let client = try TestSocket(port: port)
      try await client.send(TestSocket.frame([1]) + TestSocket.frame([2]) + [0xff, 0, 0, 0])
      #expect(try await client.receiveFrame() == [1])
      #expect(try await client.receiveFrame() == [2])
      #expect(await client.isClosedByServer())
    }
  }

  @Test func `a client that goes away in the middle of a frame leaves nothing behind`() async throws {
    let log = LogCapture()
    try await withServer(FakeBroker.echo, log: log) { server, port in
      for _ in 0..<50 {
        let client = try TestSocket(port: port)
        try await client.send([0, 4, 0, 0, 1, 2, 3])
        client.closeOutput()
        #expect(await client.isClosedByServer())
      }
      try await eventually { server.connectionCount == 0 }
      #expect(server.queuedRequestBytes == 0)
      #expect(log.all == [])
    }
  }

  @Test func `random bytes hurt nobody else`() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = Seeded(state: seed)
    try await withServer(FakeBroker.echo) { server, port in
      let bystander = try TestSocket(port: port)
      for round in 0..<100 {
        let noise = (0..<Int.random(in: 1...5000, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random)
        }
        let client = try TestSocket(port: port)
        try? await client.send(noise)
        if Bool.random(using: &random) { client.abort() }
        try await bystander.sendFrame([UInt8(round)])
        #expect(try await bystander.receiveFrame() == [UInt8(round)], "seed \(seed)")
      }
      try await eventually { server.connectionCount == 1 }
      #expect(server.queuedRequestBytes == 0, "seed \(seed)")
    }
  }

  @Test func `frames cut at random places are the same frames`() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = Seeded(state: seed)
    try await withServer(FakeBroker.echo) { _, port in
      let client = try TestSocket(port: port)
      let requests = (0..<200).map { _ in
        let size =
          Bool.random(using: &random)
          ? Int.random(in: 0...100, using: &random) : Int.random(in: 0...300_000, using: &random)
        return [UInt8](repeating: UInt8.random(in: 0...255, using: &random), count: size)
      }
      for batch in stride(from: 0, to: requests.count, by: 4) {
        let part = requests[batch..<min(batch + 4, requests.count)]
        var bytes = part.flatMap(TestSocket.frame)[...]
        while !bytes.isEmpty {
          let cut = bytes.prefix(Int.random(in: 1...200_000, using: &random))
          try await client.send(Array(cut))
          bytes = bytes.dropFirst(cut.count)
        }
        for request in part { #expect(try await client.receiveFrame() == request, "seed \(seed)") }
      }
    }
  }

  @Test func `the broker closes a connection whose request makes no sense`() async throws {
    let log = LogCapture()
    let broker = FakeBroker { frame, _, slot in
      slot.fulfil(frame.readableBytes == 3 ? .close(reason: "unknown API key 999") : .echo(frame))
    }
    try await withServer(broker, log: log) { _, port in
      let client = try TestSocket(port: port)
      try await client.send(TestSocket.frame([1]) + TestSocket.frame([1, 2, 3]) + TestSocket.frame([4]))
      #expect(try await client.receiveFrame() == [1])
      #expect(await client.isClosedByServer())
      #expect(log.all.count == 1 && log.all[0].hasSuffix("unknown API key 999"))
    }
  }
}

/// SplitMix64: the same numbers for the same seed.
struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
