// Which topics are meant. Kafka's tools take a regular expression that must match a whole name, with commas for
// alternatives; the commands of this program take names.
import MillraceClient

enum TopicSelection {
  struct BadPattern: Error, CustomStringConvertible { let description: String }

  /// A test for names from a regular expression, as Kafka's tools understand it.
  static func matcher(_ pattern: String) throws -> (String) -> Bool {
    let cleaned = pattern.filter { $0 != "\"" && $0 != "'" }.split(separator: ",").joined(separator: "|")
    // Names that mean only themselves need no engine.
    if cleaned.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "-" || $0 == "_" }) { return { $0 == cleaned } }
    let regex: Regex<AnyRegexOutput>
    do { regex = try Regex(cleaned) } catch {
      throw BadPattern(description: "'\(pattern)' is no regular expression: \(error)")
    }
    return { (try? regex.wholeMatch(in: $0)) != nil }
  }

  /// The names of the cluster's topics that `pattern` matches; all without a pattern.
  static func names(_ admin: Admin, matching pattern: String?, includeInternal: Bool) async throws -> [String] {
    let matches = try pattern.map(matcher)
    return try await admin.listTopics(includeInternal: includeInternal).map(\.name).filter { matches?($0) ?? true }
  }
}

extension Admin {
  /// Descriptions in the order of `names`; the first failure is thrown.
  func topics(_ names: [String]) async throws -> [TopicDescription] {
    let described = try await describeTopics(names)
    return try names.compactMap { try described[$0]?.get() }
  }

  /// All partitions of `topics`, in order.
  func partitions(of topics: [String]) async throws -> [TopicPartition] {
    try await self.topics(topics).flatMap { topic in topic.partitions.map { TopicPartition(topic.name, $0.index) } }
      .sorted()
  }

  /// The offset after the last record of each partition; partitions that cannot say are not in the result.
  func endOffsets(_ partitions: some Sequence<TopicPartition>) async throws -> [TopicPartition: Int64] {
    try await offsets(partitions, .latest)
  }

  func offsets(_ partitions: some Sequence<TopicPartition>, _ query: OffsetQuery) async throws -> [TopicPartition:
    Int64]
  {
    try await listOffsets(Dictionary(partitions.map { ($0, query) }, uniquingKeysWith: { first, _ in first }))
      .compactMapValues { try? $0.get().offset }
  }
}
