// How often a record is tried and how long the pauses are: a plain value that is asked, and does nothing itself.

/// What to do with a record whose processing failed.
///
/// ```swift
/// let policy = RetryPolicy(maxAttempts: 5, backoff: .exponential(from: .milliseconds(200), to: .seconds(30)))
/// ```
public struct RetryPolicy: Sendable, Hashable {
  /// The pauses between attempts.
  public struct Backoff: Sendable, Hashable {
    /// Before the second attempt.
    public var initial: Duration
    /// No pause is longer, before jitter.
    public var maximum: Duration
    /// By how much each pause is longer than the one before; 1 for pauses of the same length.
    public var multiplier: Double
    /// Each pause is random within this share below and above, so that those that failed together do not come back
    /// together. From 0 to 1.
    public var jitter: Double

    /// No pauses.
    public static let none = Backoff(initial: .zero, maximum: .zero, multiplier: 1, jitter: 0)

    /// Pauses of the same length.
    public static func constant(_ pause: Duration, jitter: Double = 0.2) -> Backoff {
      Backoff(initial: pause, maximum: pause, multiplier: 1, jitter: jitter)
    }

    /// Pauses that grow: by default from 200 milliseconds, doubling, to 30 seconds.
    public static func exponential(
      from initial: Duration = .milliseconds(200), to maximum: Duration = .seconds(30), multiplier: Double = 2,
      jitter: Double = 0.2
    ) -> Backoff {
      Backoff(initial: initial, maximum: maximum, multiplier: multiplier, jitter: jitter)
    }

    /// The pause after `failures` failed attempts, before jitter.
    func step(after failures: Int) -> Duration {
      guard initial > .zero, failures > 0 else { return .zero }
      guard multiplier > 1, initial < maximum else { return min(initial, maximum) }
      // As a factor first: it may well be infinite, which a Duration cannot be.
      let factor = Self.power(multiplier, failures - 1)
      return factor < maximum / initial ? initial * factor : maximum
    }

    private static func power(_ number: Double, _ exponent: Int) -> Double {
      var (result, square, rest) = (1.0, number, exponent)
      while rest > 0 {
        if rest & 1 == 1 { result *= square }
        square *= square
        rest >>= 1
      }
      return result
    }
  }

  /// How often a record is tried in all, the first time included; in every retry topic once more so often.
  public var maxAttempts: Int
  /// The pauses between attempts.
  public var backoff: Backoff
  /// How long a record waits in each retry topic for its next attempts; empty for no retry topics. While it waits in one,
  /// the records behind it in its own topic go on.
  public var retryTopicDelays: [Duration]
  /// Where records go that failed every time; nil for the topic's own name with `-dlt`.
  public var deadLetterTopic: String?

  /// A policy: by default three attempts with growing pauses, no retry topics, and letters in the topic's name with
  /// `-dlt`.
  public init(
    maxAttempts: Int = 3, backoff: Backoff = .exponential(), retryTopicDelays: [Duration] = [],
    deadLetterTopic: String? = nil
  ) {
    self.maxAttempts = maxAttempts
    self.backoff = backoff
    self.retryTopicDelays = retryTopicDelays
    self.deadLetterTopic = deadLetterTopic
  }

  /// The pause before the next attempt after so many that failed; nil when there is none left.
  public func delay(
    afterFailures failures: Int, using generator: inout some RandomNumberGenerator
  ) -> Duration? {
    guard failures < maxAttempts else { return nil }
    let step = backoff.step(after: failures)
    let jitter = min(max(backoff.jitter, 0), 1)
    guard jitter > 0, step > .zero else { return step }
    return step * Double.random(in: (1 - jitter)...(1 + jitter), using: &generator)
  }

  /// The pause before the next attempt after so many that failed; nil when there is none left.
  public func delay(afterFailures failures: Int) -> Duration? {
    var generator = SystemRandomNumberGenerator()
    return delay(afterFailures: failures, using: &generator)
  }

  /// Where records of a topic go that failed every time.
  public func deadLetterTopic(for topic: String) -> String {
    deadLetterTopic ?? topic + "-dlt"
  }

  /// The topic in which records of `topic` wait for their attempt after the `number`th failure, counted from 1.
  public static func retryTopic(for topic: String, _ number: Int) -> String {
    "\(topic)-retry-\(number)"
  }
}
