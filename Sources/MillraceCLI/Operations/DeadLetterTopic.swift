// Topics with dead letters: which they are, how much is in them, and since when.
import MillraceClient

struct DeadLetterTopic {
  static let enableConfig = "errors.deadletterqueue.group.enable"

  let name: String
  /// Offsets from the first letter to the end; a few of them may be no letters.
  let letters: Int64
  /// Of these, how many no redrive has passed.
  let left: Int64
  /// The least timestamp among the first letters of the partitions.
  let oldest: Int64?

  init(_ name: String, _ admin: Admin, _ client: ClientConfiguration) async throws {
    let spans = try await admin.letterSpans(of: name)
    let status = try await admin.redriveStatus(of: name)
    self.name = name
    letters = spans.values.reduce(0) { $0 + $1.count }
    left = status.left
    var oldest: Int64?
    for (partition, span) in spans where span.count > 0 {
      try await LetterReader.each(of: [partition: span], client) { record in
        oldest = min(oldest ?? .max, record.timestamp)
        return false
      }
    }
    self.oldest = oldest
  }

  var json: JSONValue {
    .object([
      "topic": .string(name), "letters": .integer(letters), "notRedriven": .integer(left),
      "oldest": oldest.map { .integer($0) } ?? .null,
    ])
  }

  /// By name, and by the config that a topic must have to take dead letters of share groups.
  static func find(_ admin: Admin) async throws -> [String] {
    let names = try await admin.listTopics().map(\.name)
    let others = names.filter { !looksLike($0) }
    let configs = others.isEmpty ? [:] : try await admin.describeConfigs(others.map { .topic($0) })
    return names.filter { name in
      if looksLike(name) { return true }
      guard case .success(let entries)? = configs[.topic(name)] else { return false }
      return entries.contains { $0.name == enableConfig && $0.value == "true" }
    }
  }

  /// The names that Kafka, Spring, Connect's users and this program give: `dlq.orders`, `orders-dlt`, `orders.DLT`,
  /// `orders-dead-letter`.
  static func looksLike(_ name: String) -> Bool {
    let words = name.lowercased().split { ".-_".contains($0) }
    guard words.count > 1 else { return false }
    let marks: Set<Substring> = ["dlt", "dlq", "deadletter", "deadletters"]
    if words.first.map(marks.contains) == true || words.last.map(marks.contains) == true { return true }
    return zip(words, words.dropFirst()).contains { $0 == "dead" && ["letter", "letters"].contains($1) }
  }

  /// `3d 4h`, `12m`: the two largest units.
  static func age(_ milliseconds: Int64) -> String {
    let seconds = milliseconds / 1000
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")]
    let shown = parts.drop { $0.0 == 0 }.prefix(2).filter { $0.0 > 0 }
    return shown.isEmpty ? "0s" : shown.map { "\($0.0)\($0.1)" }.joined(separator: " ")
  }
}
