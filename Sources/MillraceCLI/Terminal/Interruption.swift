// Ctrl-C and SIGTERM: the task that does the work is cancelled and gets to close what it opened. A second signal ends
// the process at once.
import MillraceClient
import UnixSignals

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

enum Interruption {
  /// Runs `body`, and cancels its task on the first SIGINT or SIGTERM. That the body was cancelled by it is no failure.
  /// Returns true if a signal came.
  @discardableResult
  static func watch(_ body: @escaping @Sendable () async throws -> Void) async throws -> Bool {
    let work = Task { try await body() }
    let watcher = Task {
      var count = 0
      for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) {
        count += 1
        if count > 1 { _exit(130) }
        work.cancel()
      }
    }
    defer { watcher.cancel() }
    do {
      try await work.value
      return false
    } catch {
      let isCancellation = error is CancellationError || (error as? KafkaError)?.code == .cancelled
      guard work.isCancelled, isCancellation else { throw error }
      return true
    }
  }
}
