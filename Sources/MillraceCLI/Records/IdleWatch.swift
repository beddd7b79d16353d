// Notices when nothing has come for too long.
import Synchronization

final class IdleWatch: Sendable {
  private let last = Mutex(ContinuousClock.now)

  /// Something came.
  func touch() { last.withLock { $0 = .now } }

  /// Returns when nothing came for `span`; waits for ever without one.
  func untilIdle(for span: Duration?) async throws {
    guard let span else { return try await Task.sleep(for: .seconds(Int64(Int32.max))) }
    while case let deadline = last.withLock({ $0 }) + span, deadline > .now {
      try await Task.sleep(until: deadline)
    }
  }
}
