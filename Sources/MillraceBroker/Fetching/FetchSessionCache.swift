// The fetch sessions of all consumers (KIP-227), bounded by `max.incremental.fetch.session.cache.slots`. When the cache
// is full a new session takes the place of one that was not used for two minutes, or else of a smaller one that has
// existed for two minutes; otherwise the consumer simply goes on without a session.

import MillraceProtocol
import Synchronization

package final class FetchSessionCache: Sendable {
  /// `min.incremental.fetch.session.eviction.ms` of Kafka: how long a session is safe.
  package static let evictionAge = Duration.seconds(120)

  private struct Slot {
    var session: FetchSession
    var created: ContinuousClock.Instant
    var lastUsed: ContinuousClock.Instant
  }

  private struct State {
    var slots: [Int32: Slot] = [:]
    var random = SystemRandomNumberGenerator()
  }

  private let capacity: Int
  private let state = Mutex(State())

  package init(capacity: Int) { self.capacity = max(0, capacity) }

  package var count: Int { state.withLock { $0.slots.count } }

  /// How a request is to be answered.
  package enum Context: Sendable {
    case sessionless([FetchedPartition])
    /// A full fetch that asks for a session; it is created with the response.
    case new([FetchedPartition])
    case incremental(id: Int32, epoch: Int32, [FetchedPartition])
    case error(ErrorCode)

    package var partitions: [FetchedPartition] {
      switch self {
      case .sessionless(let partitions), .new(let partitions), .incremental(_, _, let partitions): partitions
      case .error: []
      }
    }
  }

  static let finalEpoch: Int32 = -1
  static let initialEpoch: Int32 = 0

  package func context(for request: FetchRequest, version: Int16, now: ContinuousClock.Instant) -> Context {
    let usesTopicIds = version >= 13
    if request.sessionEpoch == Self.finalEpoch || request.sessionEpoch == Self.initialEpoch {
      if request.sessionId != 0 { state.withLock { _ = $0.slots.removeValue(forKey: request.sessionId) } }
      let partitions = request.fetchedPartitions
      return request.sessionEpoch == Self.finalEpoch || partitions.isEmpty ? .sessionless(partitions) : .new(partitions)
    }
    return state.withLock { state in
      guard var slot = state.slots[request.sessionId] else { return .error(.fetchSessionIdNotFound) }
      guard slot.session.nextEpoch == request.sessionEpoch else { return .error(.invalidFetchSessionEpoch) }
      guard slot.session.usesTopicIds == usesTopicIds else { return .error(.fetchSessionTopicIdError) }
      slot.session.merge(changed: request.fetchedPartitions, forgotten: request.forgottenPartitions)
      slot.lastUsed = now
      guard slot.session.count > 0 else {
        state.slots[request.sessionId] = nil
        return .sessionless([])
      }
      state.slots[request.sessionId] = slot
      return .incremental(id: slot.session.id, epoch: slot.session.nextEpoch, slot.session.partitions)
    }
  }

  /// Turns the results into what the response says: the session's id, and the partitions worth sending.
  package func conclude(
    _ context: Context, _ results: [FetchResult], version: Int16, now: ContinuousClock.Instant
  ) -> (error: ErrorCode, sessionId: Int32, results: [FetchResult]) {
    switch context {
    case .error(let code): return (code, 0, [])
    case .sessionless: return (.none, 0, results)
    case .new(let partitions):
      let id = state.withLock { state -> Int32 in
        guard makeRoom(for: partitions.count, now: now, &state) else { return 0 }
        var id: Int32
        repeat { id = Int32.random(in: 1...Int32.max, using: &state.random) } while state.slots[id] != nil
        var session = FetchSession(id: id, usesTopicIds: version >= 13, partitions: partitions)
        _ = session.select(results)
        state.slots[id] = Slot(session: session, created: now, lastUsed: now)
        return id
      }
      return (.none, id, results)
    case .incremental(let id, let epoch, _):
      return state.withLock { state in
        // A duplicate of the request may have moved the session on while this one waited.
        guard state.slots[id]?.session.nextEpoch == epoch else { return (.invalidFetchSessionEpoch, id, []) }
        return (.none, id, state.slots[id]!.session.select(results))
      }
    }
  }

  private func makeRoom(for size: Int, now: ContinuousClock.Instant, _ state: inout State) -> Bool {
    guard capacity > 0 else { return false }
    guard state.slots.count >= capacity else { return true }
    let stale = state.slots.min { $0.value.lastUsed < $1.value.lastUsed }
    if let stale, stale.value.lastUsed.duration(to: now) > Self.evictionAge {
      state.slots[stale.key] = nil
      return true
    }
    let small = state.slots.filter { $0.value.created.duration(to: now) > Self.evictionAge }
      .min { $0.value.session.count < $1.value.session.count }
    guard let small, small.value.session.count < size else { return false }
    state.slots[small.key] = nil
    return true
  }
}
