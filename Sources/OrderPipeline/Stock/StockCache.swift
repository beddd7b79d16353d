// What is in stock, remembered until an event says that it changed.
//
// A look-up takes a while. If the stock changes meanwhile, the event may be here before the look-up's answer, which must
// not be remembered then: it is older than the event. So every product has a version, which an event raises.

import Synchronization

final class StockCache: Sendable {
  struct Statistics: Sendable, Equatable {
    var hits = 0
    var misses = 0
    var invalidations = 0
  }

  private struct State {
    var levels: [String: Int] = [:]
    var versions: [String: Int] = [:]
    /// Raised when everything is forgotten.
    var generation = 0
    var statistics = Statistics()
  }

  private let lookUp: @Sendable (String) async throws -> Int
  private let state = Mutex(State())

  /// - Parameter lookUp: asks for what is not remembered.
  init(lookUp: @escaping @Sendable (String) async throws -> Int) {
    self.lookUp = lookUp
  }

  func level(of product: String) async throws -> Int {
    let (known, version, generation) = state.withLock { state in
      let known = state.levels[product]
      if known == nil { state.statistics.misses += 1 } else { state.statistics.hits += 1 }
      return (known, state.versions[product], state.generation)
    }
    if let known { return known }
    let level = try await lookUp(product)
    state.withLock { state in
      guard state.versions[product] == version, state.generation == generation else { return }
      state.levels[product] = level
    }
    return level
  }

  /// The stock of a product changed.
  func invalidate(_ product: String) {
    state.withLock { state in
      state.levels[product] = nil
      state.versions[product, default: 0] += 1
      state.statistics.invalidations += 1
    }
  }

  /// Anything may have changed.
  func invalidateAll() {
    state.withLock { state in
      state.levels = [:]
      state.generation += 1
    }
  }

  /// What is remembered at the moment.
  var contents: [String: Int] { state.withLock { $0.levels } }

  var statistics: Statistics { state.withLock { $0.statistics } }
}
