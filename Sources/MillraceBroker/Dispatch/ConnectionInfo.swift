// What the broker knows of the connection a request came in on.

import Synchronization

package final class ConnectionInfo: Sendable {
  package let id: UInt64
  /// The peer's address as Kafka prints it: "/127.0.0.1".
  package let clientHost: String
  /// The name of the listener that took the connection, e.g. "PLAINTEXT".
  package let listener: String
  package let principal: String
  private let executor: @Sendable (@escaping @Sendable () -> Void) -> Void

  private struct State {
    var isClosed = false
    var nextToken: UInt64 = 0
    var onClose: [UInt64: @Sendable () -> Void] = [:]
    var software = ClientSoftware()
  }

  /// What the client says it is (KIP-511).
  package struct ClientSoftware: Sendable, Equatable {
    package var name = "unknown"
    package var version = "unknown"
  }

  private let state = Mutex(State())

  /// - Parameter executor: runs a body on the connection's own thread (its event loop), soon.
  package init(
    id: UInt64, clientHost: String, listener: String, principal: String = "User:ANONYMOUS",
    executor: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
  ) {
    self.id = id
    self.clientHost = clientHost
    self.listener = listener
    self.principal = principal
    self.executor = executor
  }

  /// Runs `body` on the connection's own thread: for work that was parked and woken by somebody else's.
  package func execute(_ body: @escaping @Sendable () -> Void) { executor(body) }

  package var isClosed: Bool { state.withLock { $0.isClosed } }

  package var software: ClientSoftware {
    get { state.withLock { $0.software } }
    set { state.withLock { $0.software = newValue } }
  }

  /// Calls `body` when the connection closes (at once if it has). The token takes the registration back.
  @discardableResult
  package func onClose(_ body: @escaping @Sendable () -> Void) -> UInt64 {
    let token = state.withLock { state -> UInt64? in
      guard !state.isClosed else { return nil }
      state.nextToken += 1
      state.onClose[state.nextToken] = body
      return state.nextToken
    }
    if token == nil { body() }
    return token ?? 0
  }

  package func removeOnClose(_ token: UInt64) { state.withLock { _ = $0.onClose.removeValue(forKey: token) } }

  /// The transport says that the connection is gone. Further calls do nothing.
  package func close() {
    let bodies = state.withLock { state in
      state.isClosed = true
      let bodies = state.onClose
      state.onClose = [:]
      return bodies
    }
    for body in bodies.values { body() }
  }
}
