// A broker that does what a test says, and a server in front of it.

import Logging
import MillraceBroker
import MillraceServer
import NIOCore
import Synchronization

struct FakeBroker: RequestHandling {
  let body: @Sendable (ByteBuffer, ConnectionInfo, any ResponseSlot) -> Void

  func handle(_ frame: ByteBuffer, from connection: ConnectionInfo, _ slot: any ResponseSlot) {
    body(frame, connection, slot)
  }

  /// Answers every request with itself.
  static let echo = FakeBroker { frame, _, slot in slot.fulfil(.echo(frame)) }
}

extension ResponseOutcome {
  static func echo(_ frame: ByteBuffer) -> ResponseOutcome {
    var bytes = ByteBuffer(integer: Int32(frame.readableBytes))
    bytes.writeImmutableBuffer(frame)
    return .respond(OutgoingResponse(bytes: bytes))
  }
}

/// Requests that were taken and wait for a test to answer them.
final class Held: Sendable {
  private let all = Mutex<[(frame: ByteBuffer, slot: any ResponseSlot)]>([])

  var broker: FakeBroker { FakeBroker { frame, _, slot in self.all.withLock { $0.append((frame, slot)) } } }

  var count: Int { all.withLock { $0.count } }

  func answer(_ index: Int) {
    let (frame, slot) = all.withLock { $0[index] }
    slot.fulfil(.echo(frame))
  }

  func forget() { all.withLock { $0 = [] } }

  func arrive(_ count: Int) async throws {
    try await eventually { self.count >= count }
  }
}

/// Waits, for seconds if need be, for something to become true.
func eventually(_ condition: () -> Bool) async throws {
  for _ in 0..<24_000 {
    if condition() { return }
    try await Task.sleep(for: .milliseconds(5))
  }
  throw TimedOut()
}

struct TimedOut: Error {}

extension ServerConfiguration {
  /// A free port of 127.0.0.1, served by one thread, with what a test changes.
  static func test(_ change: (inout ServerConfiguration) -> Void = { _ in }) -> ServerConfiguration {
    var configuration = ServerConfiguration(listeners: [Listener(host: "127.0.0.1", port: 0)])
    configuration.networkThreads = 1
    change(&configuration)
    return configuration
  }
}

/// Runs a server for the duration of `body`.
func withServer(
  _ broker: any RequestHandling, _ configuration: ServerConfiguration = .test(), log: LogCapture = LogCapture(),
  stopWithin: Duration = .milliseconds(100), _ body: (_ server: Server, _ port: UInt16) async throws -> Void
) async throws {
  let server = Server(configuration, handler: broker, logger: log.logger)
  let port = try await server.start()[0].port
  do {
    try await body(server, port)
  } catch {
    await server.stop(within: .zero)
    throw error
  }
  await server.stop(within: stopWithin)
}
