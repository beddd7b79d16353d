// Leads the run to its end: waits until every order is somewhere, has the provider recover, puts back what only waited for
// it, and waits again.

import MillraceClient
import ServiceLifecycle

struct Conductor: Service {
  private static let interval = Duration.milliseconds(20)
  private static let redriveAttempts = 50
  private static let redrivePause = Duration.milliseconds(200)

  let client: ClientConfiguration
  let settings: Settings
  let topics: Topics
  let progress: Progress
  let provider: PaymentProvider
  /// Whether the cache has seen all that happened to the stock.
  let isCacheTrue: @Sendable () -> Bool

  /// Returns when nothing is left to do, or nothing has moved for too long: what is missing then is the audit's to say.
  func run() async throws {
    try await cancelWhenGracefulShutdown {
      do {
        try await lead()
      } catch {
        // Somebody ended the run.
        guard Task.isCancelled else { throw error }
      }
    }
  }

  private func lead() async throws {
    if try await isSettled({ $0.isSettled }) {
      provider.recover()
      try await redrive()
      _ = try await isSettled { $0.isSettled && $0.waiting == 0 && isCacheTrue() }
    }
    progress.end()
  }

  private func isSettled(_ condition: (Progress.Snapshot) -> Bool) async throws -> Bool {
    while !condition(progress.snapshot) {
      guard progress.stillFor < settings.patience else { return false }
      try await Task.sleep(for: Self.interval)
    }
    return true
  }

  private func redrive() async throws {
    var configuration = RedriveConfiguration(client, topic: topics.deadLetters)
    configuration.filter.exceptionClass = PaymentService.providerUnavailable
    for attempt in 1... {
      do {
        try await Redrive(configuration).run()
        return
      } catch {
        // It goes on where it was.
        guard attempt < Self.redriveAttempts, !Task.isCancelled else { throw error }
        try await Task.sleep(for: Self.redrivePause)
      }
    }
  }
}
