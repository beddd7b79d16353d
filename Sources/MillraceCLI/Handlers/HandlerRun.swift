// `consume --exec`: a worker whose handler is a program, told about on standard error until a signal ends it.
import MillraceClient

struct HandlerRun: Sendable {
  struct Stopped: Error, CustomStringConvertible { let description: String }

  /// Runs a worker until its task is cancelled.
  typealias Work =
    @Sendable (_ tell: @escaping @Sendable (WorkerEvent) -> Void, _ handler: @escaping RecordHandler)
    async throws -> WorkerSummary

  let program: HandlerProgram
  /// End when no record came for so long.
  let idleTimeout: Duration?
  let work: Work

  func run() async throws {
    let watch = IdleWatch()
    let running = Guarded(0)
    let summary = Guarded(WorkerSummary())
    do {
      try await Interruption.watch {
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            let done = try await work { event in
              watch.touch()
              if let text = Self.text(of: event) { note(text) }
            } _: { delivery in
              running.change { $0 += 1 }
              defer {
                running.change { $0 -= 1 }
                watch.touch()
              }
              try await program.handle(delivery)
            }
            summary.change { $0 = done }
          }
          group.addTask {
            repeat {
              try await watch.untilIdle(for: idleTimeout)
              if running.value > 0 { watch.touch() }
            } while running.value > 0
          }
          try await group.next()
          group.cancelAll()
          // The worker commits and leaves its group.
          while let result = await group.nextResult() {
            if case .failure(let error) = result, !(error is CancellationError) { throw error }
          }
        }
      }
    } catch let failure as HandlerFailure {
      throw Stopped(description: Self.text(of: failure))
    }
    if Output.error.isTerminal { note(Self.text(of: summary.value)) }
  }

  // MARK: What is told

  static func text(of event: WorkerEvent) -> String? {
    switch event {
    case .done: nil
    case .failed(let delivery, let failure, let pause?):
      "\(place(delivery)): attempt \(delivery.attempt) failed (\(failure.exceptionClass)), again in \(text(of: pause))"
    case .failed(let delivery, let failure, nil):
      "\(place(delivery)): attempt \(delivery.attempt) failed (\(failure.exceptionClass))"
    case .postponed(let delivery, let topic): "\(place(delivery)): put off to \(topic)"
    case .deadLettered(let delivery, _, let topic): "\(place(delivery)): dead-lettered to \(topic)"
    case .notWritten(let delivery, let topic, let error):
      "\(place(delivery)): cannot be written to \(topic), which will be tried again; its partition waits: \(error)"
    case .rejected(let delivery): "\(place(delivery)): rejected"
    case .notAcknowledged(let error): "Some records are delivered again: \(error)"
    case .notCommitted(let error): "Offsets were not committed, which will be tried again: \(error)"
    }
  }

  static func text(of failure: HandlerFailure) -> String {
    switch failure.verdict {
    case .stop: "nothing can be handled, and no record was passed: \(failure.message)"
    case .retry, .reject:
      "a record failed every time and there are no dead letters (--dead-letters), so it was not passed: \(failure.message)"
    }
  }

  static func text(of summary: WorkerSummary) -> String {
    var text = "\(summary.done) \(summary.done == 1 ? "record" : "records") handled"
    if summary.failedAttempts > 0 { text += ", \(summary.failedAttempts) attempts failed" }
    if summary.postponed > 0 { text += ", \(summary.postponed) put off" }
    if summary.deadLettered > 0 { text += ", \(summary.deadLettered) dead-lettered" }
    if summary.rejected > 0 { text += ", \(summary.rejected) rejected" }
    return text
  }

  private static func place(_ delivery: RecordDelivery) -> String {
    "\(delivery.record.topicPartition)@\(delivery.record.offset)"
  }

  private static func text(of duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    let milliseconds = attoseconds / 1_000_000_000_000_000
    return seconds < 10 ? "\(seconds * 1000 + milliseconds) ms" : "\(seconds) s"
  }
}
