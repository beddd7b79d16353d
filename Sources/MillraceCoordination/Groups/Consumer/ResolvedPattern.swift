// The topics that match a regular expression which members subscribe to. They are looked for outside of the coordinator,
// for there may be many; meanwhile the group goes on with what it knows.

import MillraceProtocol

struct ResolvedPattern: Sendable, Equatable {
  var topics: Set<String>
  /// Of the topics that were looked through, and when that was: for readers of the journal.
  var version: Int64
  var timestampMs: Int64

  init(topics: Set<String>, version: Int64, timestampMs: Int64) {
    self.topics = topics
    self.version = version
    self.timestampMs = timestampMs
  }

  init(_ value: ConsumerGroupRegularExpressionValue) {
    self.init(topics: Set(value.topics), version: value.version, timestampMs: value.timestamp)
  }

  func record(groupId: String, pattern: String) -> GroupRecord {
    .regularExpression(
      ConsumerGroupRegularExpressionKey(groupId: groupId, regularExpression: pattern),
      ConsumerGroupRegularExpressionValue(topics: topics.sorted(), version: version, timestamp: timestampMs))
  }
}

/// Regular expressions of a group to match with the names of all topics.
package struct PatternQuery: Sendable, Equatable {
  package let groupId: String
  package let patterns: [String]

  /// Which topics match each. An expression that is not one matches nothing: it was refused when a member brought it.
  package func matches(in image: TopicImage) -> PatternMatches {
    var topics: [String: Set<String>] = [:]
    for pattern in patterns {
      topics[pattern] = []
      guard let expression = try? RegularExpression(pattern) else { continue }
      for name in image.names where expression.wholeMatch(name) { topics[pattern]?.insert(name) }
    }
    return PatternMatches(groupId: groupId, topics: topics, version: image.version)
  }
}

package struct PatternMatches: Sendable, Equatable {
  package let groupId: String
  package let topics: [String: Set<String>]
  /// Of the topics that were looked through.
  package let version: UInt64
}

/// When a group's expressions were last matched; not journaled, so a new coordinator begins with a look.
struct PatternRefresh: Sendable {
  var isUnderWay = false
  var lastUptimeMs: Int64?
  var lastVersion: UInt64?
}
