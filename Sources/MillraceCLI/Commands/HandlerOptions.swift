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
  @Option(help: "How many records, of as many partitions unless the group is a share group, are handled at a time.")
  var workers = 1
  @Option(help: "How often a record is tried again. (default: 3)") var retries: Int?
  @Option(
    help: ArgumentHelp(
      "The pause before the first retry; it doubles with every further one. (default: 200ms)", valueName: "span"))
  var backoff: String?
  @Option(help: ArgumentHelp("The longest pause. (default: 30s)", valueName: "span")) var backoffMax: String?
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
      if timeout != nil || isPolicyGiven {
        throw ValidationError(
          "--exec-timeout, --retries, --backoff, --backoff-max, --retry-after and --dead-letters are for --exec")
      }
      return
    }
    if command?.allSatisfy(\.isWhitespace) == true { throw ValidationError("--exec: there is no command") }
    if workers < 1 || workers > 1024 { throw ValidationError("--workers \(workers): expected a number from 1 to 1024") }
    if let retries, retries < 0 || retries > 1_000_000 {
      throw ValidationError("--retries \(retries): expected a number from 0 on")
    }
    for span in [timeout, backoff, backoffMax].compactMap({ $0 }) + retryAfter where Self.duration(span) == nil {
      throw ValidationError("\(span): expected a span such as 200ms, 5s or 1m")
    }
    if let timeout, Self.duration(timeout) == .zero { throw ValidationError("--exec-timeout must be longer than zero") }
  }

  /// What becomes of failed records is for a share group's broker to say.
  func validate(shareGroup group: String) throws {
    guard isPolicyGiven else { return }
    throw ValidationError(
      """
      the broker tries the records of a share group again and writes its dead letters. Instead of --retries, \
      --backoff, --backoff-max, --retry-after and --dead-letters set the configs share.delivery.count.limit, \
      millrace.share.retry.backoff.ms, millrace.share.retry.backoff.max.ms and errors.deadletterqueue.topic.name of \
      the group: millrace configs alter --group \(group) --set errors.deadletterqueue.topic.name=dlq.\(group)
      """)
  }

  private var isPolicyGiven: Bool {
    retries != nil || backoff != nil || backoffMax != nil || !retryAfter.isEmpty || deadLetters != nil
  }

  var execTimeout: Duration? { timeout.flatMap(Self.duration) }

  var policy: RetryPolicy {
    let first = backoff.flatMap(Self.duration) ?? .milliseconds(200)
    let longest = backoffMax.flatMap(Self.duration) ?? .seconds(30)
    return RetryPolicy(
      maxAttempts: (retries ?? 3) + 1, backoff: .exponential(from: first, to: max(first, longest)),
      retryTopicDelays: retryAfter.compactMap(Self.duration), deadLetterTopic: deadLetters == "" ? nil : deadLetters)
  }

  private static func duration(_ text: String) -> Duration? {
    DurationText.milliseconds(text).flatMap { $0 >= 0 && $0 <= Int64(Int32.max) ? .milliseconds($0) : nil }
  }
}
