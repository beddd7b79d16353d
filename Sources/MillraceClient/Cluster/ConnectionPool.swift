// One connection per broker and lane, made when it is first asked for. Whoever asks while one is being made waits for
// the same one.

import MillraceProtocol
import Synchronization

/// Why a broker has more than one connection: it answers in order, so what may take long must not be in front of what
/// must not wait.
package enum Lane: Hashable, Sendable {
  case general
  /// Fetches wait at the broker for data.
  case fetch
  /// Joining a group waits for its other members; heartbeats must get through beside fetches.
  case group
}

final class ConnectionPool: Sendable {
  private struct Key: Hashable {
    var address: BrokerAddress
    var lane: Lane
  }

  private struct State {
    var connections: [Key: Deferred<Connection>] = [:]
    var open: [Key: Connection] = [:]
    var isClosed = false
  }

  private enum Found {
    case open(Connection)
    case opening(Deferred<Connection>, isMine: Bool)
    case closed
  }

  private let configuration: ClientConfiguration
  private let state = Mutex(State())

  init(_ configuration: ClientConfiguration) {
    self.configuration = configuration
  }

  /// An open connection that exists already.
  func existing(to address: BrokerAddress, _ lane: Lane) -> Connection? {
    state.withLock { $0.open[Key(address: address, lane: lane)] }.flatMap { $0.isOpen ? $0 : nil }
  }

  func connection(to address: BrokerAddress, _ lane: Lane) async throws(KafkaError) -> Connection {
    let key = Key(address: address, lane: lane)
    switch find(key) {
    case .open(let connection): return connection
    case .closed: throw .closed("the client")
    case .opening(let opening, let isMine):
      if isMine {
        // On its own, so that it is not given up when the task that asked first is cancelled: others may wait too.
        Task { await self.open(key, into: opening) }
      }
      return try await opening.value()
    }
  }

  private func find(_ key: Key) -> Found {
    state.withLock { state in
      if state.isClosed { return .closed }
      if let connection = state.open[key] {
        if connection.isOpen { return .open(connection) }
        state.open[key] = nil
      }
      if let opening = state.connections[key] { return .opening(opening, isMine: false) }
      let opening = Deferred<Connection>()
      state.connections[key] = opening
      return .opening(opening, isMine: true)
    }
  }

  private func open(_ key: Key, into opening: Deferred<Connection>) async {
    let result: Result<Connection, KafkaError>
    do throws(KafkaError) {
      result = .success(try await Connection.open(to: key.address, configuration))
    } catch {
      result = .failure(error)
    }
    let isClosed = state.withLock { state in
      state.connections[key] = nil
      if !state.isClosed, case .success(let connection) = result { state.open[key] = connection }
      return state.isClosed
    }
    if isClosed, case .success(let connection) = result {
      connection.close()
      opening.fulfil(.failure(.closed("the client")))
    } else {
      opening.fulfil(result)
    }
  }

  /// Closes all connections; what waits for answers on them fails.
  func close() {
    let (open, opening) = state.withLock { state in
      defer {
        state.isClosed = true
        state.open = [:]
      }
      return (Array(state.open.values), Array(state.connections.values))
    }
    for connection in open { connection.close() }
    for waiting in opening { waiting.fulfil(.failure(.closed("the client"))) }
  }
}
