// What both kinds of workers keep of their work: why it ends, and what was done.

import Synchronization

/// Why the work ends; the first reason counts.
final class WorkerEnding: Sendable {
  private struct State {
    var reading: Task<Void, Never>?
    var isStopped = false
    var reason: (any Error)?
  }

  private let state = Mutex(State())

  var failure: (any Error)? { state.withLock { $0.reason } }

  /// Reads until there is nothing more, that fails, the work is stopped, or the task is cancelled.
  func reading(_ body: @escaping @Sendable () async throws -> Void) async {
    let reading = Task {
      do { try await body() } catch { stop(error) }
    }
    let isStopped = state.withLock { state in
      state.reading = reading
      return state.isStopped
    }
    if isStopped { reading.cancel() }
    await reading.cancellableValue()
  }

  func stop(_ error: any Error) {
    let isReason = (error as? KafkaError)?.code != .cancelled && !(error is CancellationError)
    let reading = state.withLock { state in
      state.isStopped = true
      if isReason { state.reason = state.reason ?? error }
      return state.reading
    }
    reading?.cancel()
  }
}

/// Counts what is told, also for who reads metrics, and tells it on.
final class WorkerCounter: Sendable {
  private let total = Mutex(WorkerSummary())
  private let metrics: WorkerMetrics?
  private let next: (@Sendable (WorkerEvent) -> Void)?

  init(_ metrics: WorkerMetrics?, _ next: (@Sendable (WorkerEvent) -> Void)?) {
    self.metrics = metrics
    self.next = next
  }

  var summary: WorkerSummary { total.withLock { $0 } }

  func count(_ event: WorkerEvent) {
    total.withLock { $0.count(event) }
    metrics?.count(event)
    next?(event)
  }
}
