// The options of `consume` that make it run a program for every record.
import ArgumentParser
import MillraceClient

struct HandlerOptions: ParsableArguments {
  @Option(
    name: .customLong("exec"),
    help: ArgumentHelp(
      "Run this command by /bin/sh for every record of the group, with the value on standard input and the rest in MILLRACE_* variables (see above).",
      valueName: "command"))
  var command: String?
  @Option(
    name: .customLong("exec-timeout"),
    help: ArgumentHelp("A command that runs longer has failed and is killed.", valueName: "span"))
  var timeout: String?
  @Option(help: "How many records, of as many partitions, are handled at a time.") var workers = 1
  @Option(help: "How often a record is tried again.") var retries = 3
  @Option(help: ArgumentHelp("The pause before the first retry; it doubles with every further one.", valueName: "span"))
  var backoff = "200ms"
  @Option(help: ArgumentHelp("The longest pause.", valueName: "span")) var backoffMax = "30s"
  @Option(
    help: ArgumentHelp(
      "Then wait for so long in a retry topic, TOPIC-retry-1, while the records behind go on; given several times, in TOPIC-retry-2 …",
      valueName: "span"))
  var retryAfter: [String] = []
  @Option(
    defaultAsFlag: "", parsing: .next,
    help: ArgumentHelp(
      "Write records that failed every time to a dead-letter topic, TOPIC-dlt unless named. Without this the first one ends the command.",
      valueName: "topic"))
  var deadLetters: String?

  /// Whether any of the others makes sense.
  var isUsed: Bool { command != nil }

  func validate() throws {
    guard isUsed else {
      if timeout != nil || !retryAfter.isEmpty || deadLetters != nil {
        throw ValidationError("--exec-timeout, --retry-after and --dead-letters are for --exec")
      }
      return
    }
    if command?.allSatisfy(\.isWhitespace) == true { throw ValidationError("--exec: there is no command") }
    if workers < 1 || workers > 1024 { throw ValidationError("--workers \(workers): expected a number from 1 to 1024") }
    if retries < 0 || retries > 1_000_000 { throw ValidationError("--retries \(retries): expected a number from 0 on") }
    for span in [timeout, backoff, backoffMax].compactMap({ $0 }) + retryAfter where Self.duration(span) == nil {
      throw ValidationError("\(span): expected a span such as 200ms, 5s or 1m")
    }
    if let timeout, Self.duration(timeout) == .zero { throw ValidationError("--exec-timeout must be longer than zero") }
  }

  var execTimeout: Duration? { timeout.flatMap(Self.duration) }

  var policy: RetryPolicy {
    let first = Self.duration(backoff) ?? .zero
    return RetryPolicy(
      maxAttempts: retries + 1, backoff: .exponential(from: first, to: max(first, Self.duration(backoffMax) ?? first)),
      retryTopicDelays: retryAfter.compactMap(Self.duration), deadLetterTopic: deadLetters == "" ? nil : deadLetters)
  }

  private static func duration(_ text: String) -> Duration? {
    DurationText.milliseconds(text).flatMap { $0 >= 0 && $0 <= Int64(Int32.max) ? .milliseconds($0) : nil }
  }
}
