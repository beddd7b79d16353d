// Keeps a service running: starts it again when it fails, and when somebody kills it.
//
// There are two ways to die. A service that is cancelled ends at once, in the middle of whatever it does. One that is
// usurped does not know that it was given up, as a process that hangs and comes back: its successor starts beside it, and
// has to be safe from it.

import MillraceClient
import ServiceLifecycle
import Synchronization

final class Supervisor: Service {
  enum Death: Sendable { case cancelled, usurped }

  private enum Event {
    case killed(Death)
    case ended(life: Int, failure: (any Error)?)
  }

  /// The pause before a service that failed by itself is started again.
  private static let pause = Duration.milliseconds(50)

  private let tally: StageTally
  private let body: @Sendable () async throws -> Void
  private let events: AsyncStream<Event>
  private let continuation: AsyncStream<Event>.Continuation

  /// - Parameter body: one life of the service. When it returns by itself its work is done.
  init(_ tally: StageTally, _ body: @escaping @Sendable () async throws -> Void) {
    self.tally = tally
    self.body = body
    (events, continuation) = AsyncStream.makeStream()
  }

  func kill(_ death: Death) { continuation.yield(.killed(death)) }

  func run() async {
    await cancelWhenGracefulShutdown { await self.supervise() }
  }

  private func supervise() async {
    var lives = [live(0)]
    await follow(&lives)
    for life in lives { life.cancel() }
    for life in lives { await life.value }
  }

  /// Begins one life after the other, until one comes to its end by itself or the task is cancelled.
  private func follow(_ lives: inout [Task<Void, Never>]) async {
    for await event in events {
      switch event {
      case .killed(let death):
        tally.killed()
        switch death {
        case .cancelled: lives[lives.count - 1].cancel()
        case .usurped: lives.append(live(lives.count))
        }
      case .ended(let life, let failure):
        // One that was usurped is not missed.
        guard life == lives.count - 1 else { continue }
        guard let failure else { return }
        if !lives[life].isCancelled {
          tally.failed(failure)
          try? await Task.sleep(for: Self.pause)
        }
        lives.append(live(lives.count))
      }
    }
  }

  private func live(_ life: Int) -> Task<Void, Never> {
    Task { [body, continuation] in
      do {
        try await body()
        continuation.yield(.ended(life: life, failure: nil))
      } catch {
        continuation.yield(.ended(life: life, failure: error))
      }
    }
  }
}
