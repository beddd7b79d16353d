// millrace dlq purge
import ArgumentParser
import MillraceClient

struct PurgeLetters: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "purge",
    abstract: "Delete dead letters for good, the oldest first.",
    discussion: """
      Asks before it does, unless --yes is given.

        millrace dlq purge orders-dlt --redriven
        millrace dlq purge orders-dlt --before 7d --yes
        millrace dlq purge orders-dlt --before-offset 0:42
      """)

  struct Failure: Error, CustomStringConvertible { let description: String }

  @Argument(help: "The topic with the dead letters.") var topic: String
  @Flag(help: "All letters.") var all = false
  @Flag(help: "Those that a redrive has passed.") var redriven = false
  @Option(
    help: ArgumentHelp("Those in front of the first of this time or later; a time, or an age (7d).", valueName: "time"))
  var before: String?
  @Option(
    help: ArgumentHelp(
      "Those before this offset of a partition; may be given several times.", valueName: "partition:offset"))
  var beforeOffset: [String] = []
  @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard [all, redriven, before != nil, !beforeOffset.isEmpty].count(where: \.self) == 1 else {
      throw ValidationError("choose one of --all, --redriven, --before and --before-offset")
    }
    if let before, LetterFilterOptions.time(before, nowMs: 0) == nil {
      throw ValidationError("--before \(before): expected a time such as 2026-03-01T12:00:00, or an age such as 7d")
    }
    for place in beforeOffset where LetterPlace.parse(place) == nil {
      throw ValidationError("--before-offset \(place): expected partition:offset, as in 0:42")
    }
  }

  func run() async throws {
    try await connection.withAdmin { admin in
      let spans = try await admin.letterSpans(of: topic)
      let ends = try await ends(admin, spans)
      let plan = Self.plan(spans, ends)
      let count = plan.reduce(Int64(0)) { $0 + ($1.value - (spans[$1.key]?.start ?? $1.value)) }
      guard count > 0 else {
        note("There is nothing to delete.")
        return
      }
      try await confirm("Delete \(count) \(count == 1 ? "letter" : "letters") of '\(topic)' for good?")
      let partitions = plan.keys.sorted()
      try Results.tell(partitions, try await admin.deleteRecords(before: plan)) { partition, low in
        "\(partition): deleted up to offset \(low)"
      }
    }
  }

  /// Up to where letters of each partition are meant.
  private func ends(
    _ admin: Admin, _ spans: [TopicPartition: LetterReader.Span]
  ) async throws -> [TopicPartition: Int64] {
    if all { return spans.mapValues(\.end) }
    if redriven {
      return Dictionary(
        try await admin.redriveStatus(of: topic).partitions.map { ($0.topicPartition, $0.position) },
        uniquingKeysWith: { first, _ in first })
    }
    if let time = before.flatMap({ LetterFilterOptions.time($0, nowMs: Surroundings.nowMs()) }) {
      let found = try await admin.offsets(spans.keys, .timestamp(max(0, time)))
      // Where no letter is so late, all are meant.
      return Dictionary(
        found.map { ($0.key, $0.value < 0 ? spans[$0.key]?.end ?? 0 : $0.value) },
        uniquingKeysWith: { first, _ in first })
    }
    var ends: [TopicPartition: Int64] = [:]
    for (partition, offset) in beforeOffset.compactMap(LetterPlace.parse) {
      let partition = TopicPartition(topic, partition)
      guard spans[partition] != nil else { throw Failure(description: "there is no partition \(partition)") }
      ends[partition] = offset
    }
    return ends
  }

  /// What is there of what is meant.
  static func plan(
    _ spans: [TopicPartition: LetterReader.Span], _ ends: [TopicPartition: Int64]
  ) -> [TopicPartition: Int64] {
    var plan: [TopicPartition: Int64] = [:]
    for (partition, end) in ends {
      guard let span = spans[partition], min(end, span.end) > span.start else { continue }
      plan[partition] = min(end, span.end)
    }
    return plan
  }

  private func confirm(_ question: String) async throws {
    guard !yes else { return }
    guard Input.standard.isTerminal else {
      throw Failure(description: "nobody can be asked here: say --yes to delete them")
    }
    try Output.error.write(question + " (yes/no) ")
    try Output.error.flush()
    let answer = String(decoding: try await Input.standard.chunk(), as: UTF8.self)
    guard ["y", "yes"].contains(answer.lowercased().filter { !$0.isWhitespace }) else {
      throw Failure(description: "nothing was deleted")
    }
  }
}
