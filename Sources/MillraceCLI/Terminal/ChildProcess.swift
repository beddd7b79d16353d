// Runs a command by /bin/sh, gives it bytes on standard input and waits for its end, without holding a thread.
//
//    this process ── payload ──▶ pipe ──▶ 0 ┐
//          1      ◀───────────────────── 1  │ sh -c COMMAND, leader of a process group of its own, so that Ctrl-C at the
//    tail, 2      ◀── pipe ◀──────────── 2 ┘ terminal does not reach it, and a signal of ours reaches all it started
//
// Swift Subprocess does the work: default signals, no descriptor but the three above, and an end of reading and writing
// when the command has ended, whatever it left running.
import Subprocess

struct ChildProcess: Sendable {
  enum Ending: Equatable, Sendable {
    case exit(Int32)
    case signal(Int32)
    /// It took too long, and was ended.
    case timedOut
  }

  struct Outcome: Equatable, Sendable {
    var ending: Ending
    /// The last bytes that it wrote to standard error.
    var errorTail: [UInt8]
  }

  /// How much of standard error is kept.
  static let errorTailBytes = 4096
  /// How long a program may take to end when it is asked to, before it is killed.
  private static let patience = Duration.seconds(2)

  let command: String
  let timeout: Duration?
  /// What the program wrote to standard error, as it comes.
  let onError: @Sendable ([UInt8]) async -> Void

  /// - Parameter environment: `NAME=value` each.
  /// - Throws: `CancellationError` when the task was cancelled, after the program was ended; what keeps it from being
  ///   started.
  func run(environment: [[UInt8]], input: [UInt8]) async throws -> Outcome {
    try Task.checkCancellation()
    let isExpired = Guarded(false)
    let running = Task { try await supervise(environment, input) }
    let clock = timeout.map { timeout in
      Task {
        try await Task.sleep(for: timeout)
        isExpired.change { $0 = true }
        running.cancel()
      }
    }
    defer { clock?.cancel() }
    var outcome = try await withTaskCancellationHandler {
      try await running.value
    } onCancel: {
      running.cancel()
    }
    try Task.checkCancellation()
    if isExpired.value { outcome.ending = .timedOut }
    return outcome
  }

  /// When its task is cancelled, the program is asked to end, and then killed.
  private func supervise(_ environment: [[UInt8]], _ input: [UInt8]) async throws -> Outcome {
    let errorTail = Guarded<[UInt8]>([])
    let result = try await Subprocess.run(
      .path("/bin/sh"), arguments: ["-c", command],
      // With a NUL behind each, as the system wants them.
      environment: .custom(environment.map { $0 + [0] }), platformOptions: Self.options, input: .inputWriter,
      output: .currentStandardOutput, error: .sequence
    ) { execution in
      // In tasks of their own, which go on when this one is cancelled: a program that is about to end must not take half
      // of its input for the whole, and may still say something.
      let feeding = Task { [writer = execution.standardInputWriter] in
        // It may close its input, or end, without having read all of it.
        if let count = try? await writer.write(input), count == input.count { try? await writer.finish() }
      }
      let listening = Task { [errors = execution.standardError] in
        for try await chunk in errors {
          let bytes = chunk.withUnsafeBytes { Array($0) }
          await onError(bytes)
          errorTail.change { $0 = Array(($0 + bytes).suffix(Self.errorTailBytes)) }
        }
      }
      await feeding.value
      _ = await listening.result
    }
    let ending: Ending =
      switch result.terminationStatus {
      case .exited(let code): .exit(code)
      case .signaled(let number): .signal(number)
      }
    return Outcome(ending: ending, errorTail: errorTail.value)
  }

  private static let options = {
    var options = PlatformOptions()
    options.processGroupID = 0
    options.teardownSequence = [.gracefulShutDown(toProcessGroup: true, allowedDurationToNextStep: patience)]
    return options
  }()
}
