// What becomes of a dead letter in a redrive. Pure: the redrive does what it says.

import NIOCore

/// What became of a dead letter in a redrive, or would.
public enum RedriveOutcome: String, Sendable, Hashable, CaseIterable {
  /// Written to the topic that it came from, or that was named.
  case redriven
  /// It does not fit the filter.
  case filtered
  /// It was put back and came again as often as is allowed.
  case replayedTooOften = "replayed too often"
  /// Nothing says where it came from, or that is the dead-letter topic itself.
  case withoutSource = "without source"
  /// The topic that it came from does not exist.
  case sourceMissing = "source missing"
}

struct RedriveRule: Sendable {
  var deadLetterTopic: String
  /// Nil for the topic that each letter names.
  var target: String?
  var filter = LetterFilter()
  /// Nil for no limit.
  var maxReplays: Int?

  enum Decision {
    case write(ProducerRecord)
    case skip(RedriveOutcome)
  }

  func decide(_ record: ConsumerRecord) -> Decision {
    let headers = record.headers
    let letter = DeadLetter(headers)
    guard filter.matches(record, letter) else { return .skip(.filtered) }
    let replays = letter?.replays ?? DeadLetter.replays(in: headers)
    if let maxReplays, replays >= maxReplays { return .skip(.replayedTooOften) }
    guard let topic = target ?? letter?.topic, topic != deadLetterTopic else { return .skip(.withoutSource) }
    return .write(
      ProducerRecord(
        topic: topic, key: record.key, value: record.value,
        headers: DeadLetter.withoutLetter(headers) + Self.provenance(record, replays: replays),
        timestamp: letter?.timestamp ?? record.timestamp))
  }

  /// What a record that was put back tells of its stay: how often that was, and where its letter is.
  private static func provenance(_ record: ConsumerRecord, replays: Int) -> [RecordHeader] {
    let (count, overflow) = replays.addingReportingOverflow(1)
    return [
      RecordHeader(key: DeadLetter.replaysHeader, value: "\(overflow ? replays : count)"),
      RecordHeader(key: DeadLetter.redrivenPrefix + "topic", value: record.topic),
      RecordHeader(key: DeadLetter.redrivenPrefix + "partition", value: "\(record.partition)"),
      RecordHeader(key: DeadLetter.redrivenPrefix + "offset", value: "\(record.offset)"),
    ]
  }
}

extension DeadLetter {
  static let redrivenPrefix = "__dlq.redriven."

  /// The headers that a record had before it became a dead letter, whoever made it one, and before it was put back.
  public static func withoutLetter(_ headers: [RecordHeader]) -> [RecordHeader] {
    headers.filter { header in
      !header.key.hasPrefix(RetryHeaders.prefix) && !header.key.hasPrefix(redrivenPrefix)
        && header.key != replaysHeader && !Dialect.allCases.contains { $0.owns(header.key) }
    }
  }
}
