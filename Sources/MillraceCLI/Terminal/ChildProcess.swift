// Runs a command by /bin/sh, gives it bytes on standard input and waits for its end. Blocks its thread.
//
//    this process ── payload ──▶ pipe ──▶ 0 ┐
//          1      ◀───────────────────── 1  │ sh -c COMMAND, leader of a process group of its own, so that Ctrl-C at the
//    tail, 2      ◀── pipe ◀──────────── 2 ┘ terminal does not reach it, and a signal of ours reaches all it started
//
// posix_spawn: a fork in a process with threads could only call what is safe in a signal handler. All descriptors of this
// process are closed on exec; the three above are the only ones that the command has.
import CMillraceSystem

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct ChildProcess: Sendable {
  enum Ending: Equatable, Sendable {
    case exit(Int32)
    case signal(Int32)
    /// It took too long, and was ended.
    case timedOut
    /// It was not wanted any more, and was ended.
    case cancelled
  }

  struct Outcome: Equatable, Sendable {
    var ending: Ending
    /// The last bytes that it wrote to standard error.
    var errorTail: [UInt8]
  }

  struct Failure: Error, CustomStringConvertible {
    let call: String
    let code: Int32
    var description: String { "cannot run a program (\(call)): \(String(cString: strerror(code)))" }
  }

  /// How much of standard error is kept.
  static let errorTailBytes = 4096
  /// How often an end is looked for that nothing else tells of: cancellation, the time-out, an end with standard error
  /// still open somewhere.
  private static let intervalMs: Int32 = 20
  /// How long a program may take to end when it is asked to, before it is killed.
  private static let patience = Duration.seconds(2)

  let command: String
  let timeout: Duration?
  /// What the program wrote to standard error, as it comes.
  let onError: @Sendable (ArraySlice<UInt8>) -> Void

  /// - Parameters:
  ///   - environment: `NAME=value` each.
  ///   - isCancelled: asked now and then.
  func run(environment: [[UInt8]], input: some Collection<UInt8>, isCancelled: () -> Bool) throws(Failure) -> Outcome {
    let toChild = try Pipe()
    let fromChild = try Pipe()
    let child = try spawn(environment, input: toChild.reading, error: fromChild.writing)
    toChild.reading.close()
    fromChild.writing.close()
    toChild.writing.makeNonBlocking()
    fromChild.reading.makeNonBlocking()
    return Supervision(self, child, input: toChild.writing, error: fromChild.reading)
      .run(Array(input), isCancelled: isCancelled)
  }

  // MARK: Starting

  private func spawn(_ environment: [[UInt8]], input: Descriptor, error: Descriptor) throws(Failure) -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    try Self.check("posix_spawn_file_actions_init", posix_spawn_file_actions_init(&actions))
    defer { posix_spawn_file_actions_destroy(&actions) }
    try Self.check("posix_spawnattr_init", posix_spawnattr_init(&attributes))
    defer { posix_spawnattr_destroy(&attributes) }
    try Self.check("posix_spawn", posix_spawn_file_actions_adddup2(&actions, input.number, 0))
    try Self.check("posix_spawn", posix_spawn_file_actions_adddup2(&actions, error.number, 2))

    // What this process ignores or holds back is its own affair.
    var none = sigset_t()
    var ours = sigset_t()
    sigemptyset(&none)
    sigemptyset(&ours)
    for signal in [SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT] { sigaddset(&ours, signal) }
    try Self.check("posix_spawn", posix_spawnattr_setsigmask(&attributes, &none))
    try Self.check("posix_spawn", posix_spawnattr_setsigdefault(&attributes, &ours))
    try Self.check("posix_spawn", posix_spawnattr_setpgroup(&attributes, 0))
    let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
    try Self.check("posix_spawn", posix_spawnattr_setflags(&attributes, Int16(flags)))

    let arguments = ["sh", "-c", command].map { (argument: String) in strdup(argument) }
    let variables = environment.map { variable in
      // With a NUL behind; a NUL inside would cut it short, and is kept out before.
      (variable + [0]).withUnsafeBufferPointer {
        strdup(UnsafeRawPointer($0.baseAddress!).assumingMemoryBound(to: CChar.self))
      }
    }
    defer { for string in arguments + variables { free(string) } }
    var child = pid_t()
    let code = posix_spawn(&child, "/bin/sh", &actions, &attributes, arguments + [nil], variables + [nil])
    try Self.check("posix_spawn", code)
    return child
  }

  private static func check(_ call: String, _ code: Int32) throws(Failure) {
    guard code == 0 else { throw Failure(call: call, code: code) }
  }
}

// MARK: - While it runs

extension ChildProcess {
  /// Feeds a child, listens to it, and waits for its end.
  private struct Supervision {
    private let process: ChildProcess
    private let child: pid_t
    private let input: Descriptor
    private let error: Descriptor
    private var errorTail: [UInt8] = []

    init(_ process: ChildProcess, _ child: pid_t, input: Descriptor, error: Descriptor) {
      self.process = process
      self.child = child
      self.input = input
      self.error = error
    }

    func run(_ payload: [UInt8], isCancelled: () -> Bool) -> Outcome {
      var copy = self
      return copy.supervise(payload[...], isCancelled: isCancelled)
    }

    private mutating func supervise(_ payload: ArraySlice<UInt8>, isCancelled: () -> Bool) -> Outcome {
      var rest = payload
      let deadline = process.timeout.map { ContinuousClock.now + $0 }
      var killed: (reason: Ending, at: ContinuousClock.Instant)?
      if rest.isEmpty { input.close() }
      while true {
        wait()
        write(&rest)
        read()
        var status: Int32 = 0
        if waitpid(child, &status, WNOHANG) == child {
          read()
          // What it started and left behind is not needed either, once it was to be ended.
          if killed != nil { kill(-child, SIGKILL) }
          return Outcome(ending: killed?.reason ?? Self.ending(status), errorTail: errorTail)
        }
        if let killed {
          if killed.at + ChildProcess.patience < .now { kill(-child, SIGKILL) }
        } else if isCancelled() {
          killed = (.cancelled, .now)
          kill(-child, SIGTERM)
        } else if let deadline, deadline <= .now {
          killed = (.timedOut, .now)
          kill(-child, SIGTERM)
        }
      }
    }

    /// Until there is something to read or room to write, or for a moment. Without pipes the end is near.
    private func wait() {
      var polls = [
        pollfd(fd: error.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: input.number, events: Int16(POLLOUT), revents: 0),
      ]
      _ = poll(&polls, nfds_t(polls.count), error.isOpen ? ChildProcess.intervalMs : 1)
    }

    private func write(_ rest: inout ArraySlice<UInt8>) {
      guard input.isOpen else { return }
      let count = rest.withUnsafeBytes { systemWrite(input.number, $0.baseAddress, $0.count) }
      if count > 0 { rest = rest.dropFirst(count) }
      // It may end without having read all of it.
      if rest.isEmpty || (count < 0 && errno != EAGAIN && errno != EINTR) { input.close() }
    }

    private mutating func read() {
      guard error.isOpen else { return }
      var chunk = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = chunk.withUnsafeMutableBytes { systemRead(error.number, $0.baseAddress, $0.count) }
        if count > 0 {
          process.onError(chunk[..<count])
          errorTail.append(contentsOf: chunk[..<count])
          if errorTail.count > ChildProcess.errorTailBytes {
            errorTail.removeFirst(errorTail.count - ChildProcess.errorTailBytes)
          }
        } else if count == 0 {
          return error.close()
        } else if errno != EINTR {
          if errno != EAGAIN { error.close() }
          return
        }
      }
    }

    private static func ending(_ status: Int32) -> Ending {
      // As wait(2) has it: seven bits of a signal, or none and the exit code above.
      let signal = status & 0x7F
      return signal == 0 ? .exit((status >> 8) & 0xFF) : .signal(signal)
    }
  }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
  write(descriptor, bytes, count)
}

private func systemRead(_ descriptor: Int32, _ bytes: UnsafeMutableRawPointer?, _ count: Int) -> Int {
  read(descriptor, bytes, count)
}

// MARK: - Descriptors

/// A descriptor that is closed once, at the latest with this object. Used by one thread.
private final class Descriptor {
  private(set) var number: Int32
  var isOpen: Bool { number >= 0 }

  init(_ number: Int32) { self.number = number }

  deinit { close() }

  func close() {
    if number >= 0 { closeDescriptor(number) }
    number = -1
  }

  func makeNonBlocking() {
    let flags = fcntl(number, F_GETFL)
    if flags >= 0 { _ = fcntl(number, F_SETFL, flags | O_NONBLOCK) }
  }
}

private func closeDescriptor(_ number: Int32) { _ = close(number) }

/// Both ends closed on exec, and above the three that a program is born with.
private struct Pipe {
  let reading: Descriptor
  let writing: Descriptor

  init() throws(ChildProcess.Failure) {
    var ends: [Int32] = [-1, -1]
    let code = millrace_pipe(&ends)
    guard code == 0 else { throw ChildProcess.Failure(call: "pipe", code: errno) }
    reading = try Self.lifted(ends[0])
    writing = try Self.lifted(ends[1])
  }

  private static func lifted(_ number: Int32) throws(ChildProcess.Failure) -> Descriptor {
    guard number <= 2 else { return Descriptor(number) }
    let lifted = fcntl(number, F_DUPFD_CLOEXEC, 3)
    closeDescriptor(number)
    guard lifted >= 0 else { throw ChildProcess.Failure(call: "fcntl", code: errno) }
    return Descriptor(lifted)
  }
}
