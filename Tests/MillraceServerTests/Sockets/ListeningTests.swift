import Logging
import NIOCore
import Testing

@testable import MillraceServer

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct ListeningTests {
  private func server(_ listeners: [Listener]) -> Server {
    var configuration = ServerConfiguration(listeners: listeners)
    configuration.networkThreads = 1
    return Server(configuration, handler: FakeBroker.echo, logger: LogCapture().logger)
  }

  @Test func `port 0 is a free port, and the server says which`() async throws {
    let server = server([Listener(host: "127.0.0.1", port: 0)])
    let addresses = try await server.start()
    #expect(addresses.count == 1 && addresses[0].host == "127.0.0.1" && addresses[0].port > 0)
    #expect(addresses[0].listener == "PLAINTEXT")
    #expect(server.addresses == addresses)
    await server.stop(within: .zero)
  }

  @Test func `localhost is both loopback addresses on one port`() async throws {
    let server = server([Listener(host: "localhost", port: 0)])
    let addresses = try await server.start()
    #expect(addresses.first?.host == "127.0.0.1")
    #expect(Set(addresses.map(\.port)).count == 1)
    #expect(addresses.count == 1 || addresses[1].host == "::1")
    let client = try TestSocket(port: addresses[0].port)
    try await client.sendFrame([1])
    #expect(try await client.receiveFrame() == [1])
    await server.stop(within: .milliseconds(100))
  }

  @Test func `an empty host is all addresses`() async throws {
    let server = server([Listener(host: "", port: 0)])
    let addresses = try await server.start()
    #expect(["::", "0.0.0.0"].contains(addresses[0].host))
    let client = try TestSocket(port: addresses[0].port)
    try await client.sendFrame([1])
    #expect(try await client.receiveFrame() == [1])
    await server.stop(within: .milliseconds(100))
  }

  @Test func `several listeners have several addresses`() async throws {
    let server = server([
      Listener(name: "INSIDE", host: "127.0.0.1", port: 0), Listener(name: "OUTSIDE", host: "127.0.0.1", port: 0),
    ])
    let addresses = try await server.start()
    #expect(addresses.map(\.listener) == ["INSIDE", "OUTSIDE"])
    #expect(addresses[0].port != addresses[1].port)
    for address in addresses {
      let client = try TestSocket(port: address.port)
      try await client.sendFrame([1])
      #expect(try await client.receiveFrame() == [1])
    }
    await server.stop(within: .milliseconds(100))
  }

  @Test func `a port that is taken is said in words, and nothing stays bound`() async throws {
    let first = server([Listener(host: "127.0.0.1", port: 0)])
    let port = try await first.start()[0].port
    let spare = server([Listener(host: "127.0.0.1", port: 0)])
    let sparePort = try await spare.start()[0].port
    await spare.stop(within: .zero)

    let second = server([Listener(host: "127.0.0.1", port: sparePort), Listener(host: "127.0.0.1", port: port)])
    let error = await #expect(throws: ServerError.self) { try await second.start() }
    #expect(error == .addressInUse("127.0.0.1:\(port)"))
    #expect(
      error?.description == "127.0.0.1:\(port) is in use: stop the other program or choose --listeners")
    #expect(throws: TestSocket.Failure.cannotConnect(111)) { try TestSocket(port: sparePort) }
    await second.stop(within: .zero)
    await first.stop(within: .zero)
  }

  @Test func `an address of another machine is said in words`() async throws {
    let server = server([Listener(host: "192.0.2.1", port: 0)])
    let error = await #expect(throws: ServerError.self) { try await server.start() }
    #expect(error == .addressNotAvailable("192.0.2.1:0"))
    await server.stop(within: .zero)
  }

  @Test func `a server without listeners serves what it is given`() async throws {
    let server = server([])
    #expect(try await server.start().isEmpty)
    let pair = try SocketPair()
    try await server.adopt(pair.server, by: .inProcess).get()
    #expect(server.connectionCount == 1)
    await server.stop(within: .zero)
    #expect(server.connectionCount == 0)
    close(pair.client)
  }

  @Test func `peers are named without their port, IPv4 as IPv4`() throws {
    #expect(Peer(try SocketAddress(ipAddress: "10.0.0.7", port: 99)).clientHost == "/10.0.0.7")
    #expect(Peer(try SocketAddress(ipAddress: "::ffff:10.0.0.7", port: 99)).address == "10.0.0.7")
    #expect("\(Peer(try SocketAddress(ipAddress: "::1", port: 99)))" == "[::1]:99")
    #expect(Peer(nil).address == "unknown")
  }
}
