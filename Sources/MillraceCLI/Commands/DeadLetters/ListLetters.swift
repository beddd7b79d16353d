// millrace dlq list and show
import ArgumentParser
import MillraceClient
import NIOCore

struct ListLetters: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "List the topics with dead letters, or the letters of one.",
    discussion: """
      Topics are found by their names (orders-dlt, dlq.orders, orders.DLT …) and by the config \
      errors.deadletterqueue.group.enable. Letters are those of committed transactions, the first ones first.
      """)

  @Argument(help: "The topic whose letters to list.") var topic: String?
  @Option(name: [.customShort("n"), .long], help: "How many letters.") var limit = 100
  @Flag(help: "One JSON object a line.") var json = false
  @OptionGroup(title: "Which letters") var filter: LetterFilterOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    if limit < 1 { throw ValidationError("--limit \(limit): expected a number of letters") }
  }

  func run() async throws {
    let client = try connection.properties().client()
    try await connection.withAdmin { admin in
      if let topic { try await list(topic, admin, client) } else { try await listTopics(admin, client) }
    }
  }

  private func listTopics(_ admin: Admin, _ client: ClientConfiguration) async throws {
    let nowMs = Surroundings.nowMs()
    var table = Table("TOPIC", "LETTERS", "NOT-REDRIVEN", "OLDEST", "AGE")
    for topic in try await DeadLetterTopic.find(admin) {
      let found = try await DeadLetterTopic(topic, admin, client)
      if json {
        try Output.standard.line(found.json.text)
      } else {
        table.add(
          topic, "\(found.letters)", "\(found.left)", found.oldest.map(TimestampText.iso8601) ?? "-",
          found.oldest.map { DeadLetterTopic.age(max(0, nowMs.subtractingReportingOverflow($0).partialValue)) } ?? "-")
      }
    }
    if !json { for line in table.lines() { try Output.standard.line(line) } }
  }

  private func list(_ topic: String, _ admin: Admin, _ client: ClientConfiguration) async throws {
    let filter = filter.filter(nowMs: Surroundings.nowMs())
    var table = Table("LETTER", "TIME", "SOURCE", "ATTEMPTS", "REPLAYS", "ERROR")
    var count = 0
    var hasMore = false
    try await LetterReader.each(of: try await admin.letterSpans(of: topic), client) { record in
      let letter = DeadLetter(record.headers)
      guard filter.matches(record, letter) else { return true }
      hasMore = count == limit
      guard !hasMore else { return false }
      count += 1
      if json {
        try Output.standard.line(LetterReport.json(record, letter).text)
      } else {
        table.rows.append(LetterReport.row(record, letter))
      }
      return true
    }
    if !json { for line in table.lines() { try Output.standard.line(line) } }
    try Output.standard.flush()
    if hasMore { note("There are more: --limit.") }
  }
}

struct ShowLetter: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "Show a dead letter: where it came from, why it failed, and what is in it.",
    discussion: """
        millrace dlq show orders-dlt 0:42
        millrace dlq show orders-dlt 0:42 --payload raw > order.bin
      """)

  enum Payload: String, CaseIterable, ExpressibleByArgument { case text, hex, json, raw, none }

  @Argument(help: "The topic.") var topic: String
  @Argument(help: ArgumentHelp("Where in it.", valueName: "partition:offset")) var place: String
  @Option(help: "The value as text, hex, json (indented), raw (nothing but its bytes) or none.") var payload = Payload
    .text
  @Flag(help: "All of it as one JSON object.") var json = false
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard LetterPlace.parse(place) != nil else {
      throw ValidationError("\(place): expected partition:offset, as in 0:42")
    }
  }

  func run() async throws {
    guard let (partition, offset) = LetterPlace.parse(place) else { return }
    let client = try connection.properties().client()
    try await connection.withAdmin { admin in
      let place = TopicPartition(topic, partition)
      let span = try await admin.letterSpans(of: topic)[place] ?? LetterReader.Span(start: 0, end: 0)
      guard offset >= span.start, offset < span.end else {
        let range = span.count > 0 ? "; it has offsets \(span.start) to \(span.end - 1)" : ", which has none"
        throw LetterReport.Missing(description: "there is no offset \(offset) in \(place)\(range)")
      }
      var letter: ConsumerRecord?
      try await LetterReader.each(of: [place: .init(start: offset, end: offset + 1)], client) { record in
        letter = record
        return false
      }
      guard let found = letter else {
        throw LetterReport.Missing(
          description: "there is no letter \(place)@\(offset): it was compacted away, aborted, or is no record")
      }
      try write(found)
    }
  }

  private func write(_ record: ConsumerRecord) throws {
    let letter = DeadLetter(record.headers)
    if json { return try Output.standard.line(LetterReport.json(record, letter).text) }
    if payload == .raw {
      if let value = record.value { try Output.standard.write(bytes: value.readableBytesView) }
      return
    }
    for line in LetterReport.lines(record, letter) { try Output.standard.line(line) }
    guard payload != .none else { return }
    guard let value = record.value else { return try Output.standard.line("Value: null") }
    try Output.standard.line("Value (\(value.readableBytes) bytes):")
    switch payload {
    case .text, .raw, .none: try Output.standard.write(bytes: value.readableBytesView)
    case .hex: for line in LetterReport.hexLines(value.readableBytesView) { try Output.standard.line(line) }
    case .json:
      let parsed: JSONValue
      do { parsed = try JSONParser.parse(Array(value.readableBytesView)) } catch {
        throw LetterReport.Missing(description: "the value is no JSON: \(error)")
      }
      for line in parsed.indentedLines() { try Output.standard.line(line) }
    }
    if payload == .text { try Output.standard.line() }
  }
}
