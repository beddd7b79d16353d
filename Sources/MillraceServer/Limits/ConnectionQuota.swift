// How many connections there are, in all and from each address: `max.connections`, `max.connections.per.ip` and
// `max.connections.per.ip.overrides`. A connection beyond a limit is closed as soon as it is accepted.

import Synchronization

final class ConnectionQuota: Sendable {
  struct Limits: Sendable, Equatable {
    var total = Int.max
    var perAddress = Int.max
    /// By address, without port: "10.0.0.7".
    var overrides: [String: Int] = [:]
  }

  enum Refusal: Error, Equatable, CustomStringConvertible {
    case total(limit: Int)
    case address(limit: Int)

    var description: String {
      switch self {
      case .total(let limit): "max.connections (\(limit)) is reached"
      case .address(let limit): "max.connections.per.ip (\(limit)) is reached"
      }
    }
  }

  private struct State {
    var total = 0
    var byAddress: [String: Int] = [:]
  }

  private let limits: Limits
  private let state = Mutex(State())

  init(limits: Limits) { self.limits = limits }

  var count: Int { state.withLock { $0.total } }

  /// Counts a connection from `address`, or says why there must not be one more.
  func admit(_ address: String) throws(Refusal) {
    let refusal = state.withLock { state -> Refusal? in
      guard state.total < limits.total else { return .total(limit: limits.total) }
      let limit = limits.overrides[address] ?? limits.perAddress
      let here = state.byAddress[address, default: 0]
      guard here < limit else { return .address(limit: limit) }
      state.total += 1
      state.byAddress[address] = here + 1
      return nil
    }
    if let refusal { throw refusal }
  }

  func release(_ address: String) {
    state.withLock { state in
      guard let here = state.byAddress[address] else { return }
      state.total -= 1
      state.byAddress[address] = here > 1 ? here - 1 : nil
    }
  }
}
