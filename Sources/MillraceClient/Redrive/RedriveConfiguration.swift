// What a redrive can be told, and what it tells.

import MillraceProtocol

/// Which dead letters to put back where, and how.
public struct RedriveConfiguration: Sendable {
  /// The cluster that the letters are in.
  public var client: ClientConfiguration
  /// How they are written.
  public var producer: ProducerConfiguration
  /// The topic with the dead letters.
  public var topic: String
  /// Where to put them; nil for the topic that each came from.
  public var target: String?
  /// Which letters are put back; by default all.
  public var filter = LetterFilter()
  /// Letters that were put back so often stay where they are (`__dlq.replays`); nil for no limit.
  public var maxReplays: Int? = 3
  /// How many are written in a second; nil for as fast as it goes.
  public var rate: Double?
  /// Whether letters are written and counted as done in one transaction. If not, an interrupted redrive may write some
  /// twice; it works with brokers that have no transactions.
  public var isTransactional = true
  /// Whether to begin at the first letter instead of where the last redrive ended.
  public var restarts = false
  /// Told now and then how far it is.
  public var onProgress: (@Sendable (RedriveProgress) -> Void)?

  /// After how long without a word a redrive that died no longer holds up the next one. This is the shortest that brokers
  /// allow by default (`group.min.session.timeout.ms`).
  var lockSessionTimeout = Duration.seconds(6)

  /// The defaults, for a dead-letter topic.
  public init(_ client: ClientConfiguration, topic: String) {
    self.client = client
    producer = ProducerConfiguration(client)
    self.topic = topic
  }

  /// The consumer group whose offsets are the progress of redriving a topic, and whose member has the lock.
  public static func group(of topic: String) -> String { groupPrefix + topic }
  /// What the names of these groups begin with.
  public static let groupPrefix = "millrace.redrive."

  func check() throws(KafkaError) {
    guard !topic.isEmpty, target != topic else {
      throw KafkaError(.configuration, "dead letters cannot be put back into their own topic")
    }
    guard rate ?? 1 > 0, rate ?? 1 <= 1e9 else {
      throw KafkaError(.configuration, "rate must be greater than zero, and at most a thousand million")
    }
    guard maxReplays ?? 0 >= 0 else { throw KafkaError(.configuration, "maxReplays must not be negative") }
  }

  var rule: RedriveRule {
    RedriveRule(deadLetterTopic: topic, target: target, filter: filter, maxReplays: maxReplays)
  }
}

/// What became of how many letters.
public struct RedriveSummary: Sendable, Hashable {
  /// How many letters had which outcome.
  public var counts: [RedriveOutcome: Int] = [:]
  /// How many were written to which topic.
  public var targets: [String: Int] = [:]

  /// A summary of nothing.
  public init() {}

  /// How many letters there were.
  public var total: Int { counts.values.reduce(0, +) }

  /// How many letters had an outcome.
  public subscript(outcome: RedriveOutcome) -> Int { counts[outcome] ?? 0 }

  mutating func add(_ outcome: RedriveOutcome, to target: String? = nil) {
    counts[outcome, default: 0] += 1
    if let target { targets[target, default: 0] += 1 }
  }

  mutating func add(_ other: RedriveSummary) {
    counts.merge(other.counts, uniquingKeysWith: +)
    targets.merge(other.targets, uniquingKeysWith: +)
  }
}

/// How far a redrive is.
public struct RedriveProgress: Sendable, Hashable {
  /// What became of the letters so far.
  public var summary = RedriveSummary()
  /// Offsets that it has passed. A few of them may be no letters.
  public var passed: Int64 = 0
  /// How many offsets there were to pass when it began.
  public var total: Int64 = 0
  /// Set while another redrive has to go first: who that is.
  public var waitsFor: String?

  /// A redrive that has not begun.
  public init() {}
}

/// Why a redrive did not begin or come to its end. What it did until then stays done.
public enum RedriveFailure: Error, Sendable, CustomStringConvertible {
  /// Somebody else redrives the topic.
  case busy(topic: String, owner: String)
  /// The member that was the lock is not in its group any more.
  case cancelled(topic: String)
  /// A letter cannot be written where it should go.
  case refused(TopicPartition, offset: Int64, KafkaError)

  public var description: String {
    switch self {
    case .busy(let topic, let owner):
      "'\(topic)' is being redriven already, by \(owner); wait for it, or end it with `millrace dlq cancel \(topic)`"
    case .cancelled(let topic):
      "the redrive of '\(topic)' was cancelled, or not heard of for too long; begin it again to go on"
    case .refused(let partition, let offset, let error):
      "letter \(partition)@\(offset) cannot be put back, so the redrive stopped before it: \(error)"
    }
  }
}
