// millrace get-offsets
import ArgumentParser
import MillraceClient

struct GetOffsets: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show offsets of partitions: first, last, or of a time.",
    discussion: """
        millrace get-offsets orders
        millrace get-offsets orders --time 2026-03-01T12:00:00
      """)

  @Argument(help: "The topics; all of them without names.") var topics: [String] = []
  @Option(
    help: ArgumentHelp(
      "Only the offset of the first record of this time or later: earliest, latest, max-timestamp, a time, or milliseconds since 1970.",
      valueName: "time"))
  var time: String?
  @OptionGroup var connection: ConnectionOptions

  func validate() throws { if let time { _ = try Self.query(time) } }

  static func query(_ text: String) throws -> OffsetQuery {
    if let timestamp = TimestampText.parse(text) { return .timestamp(timestamp) }
    do { return try KafkaGetOffsets.query(text) } catch {
      throw ValidationError(
        "--time \(text): expected earliest, latest, max-timestamp, a time such as 2026-03-01T12:00:00, or milliseconds")
    }
  }

  func run() async throws {
    try await connection.withAdmin { admin in
      let names = topics.isEmpty ? try await admin.listTopics().map(\.name) : topics
      let partitions = try await admin.partitions(of: names)
      if let time {
        let query = try Self.query(time)
        let results = try await admin.listOffsets(Dictionary(uniqueKeysWithValues: partitions.map { ($0, query) }))
        var table = Table("PARTITION", "OFFSET", "TIMESTAMP")
        for partition in partitions {
          guard let info = try results[partition]?.get() else { continue }
          table.add(
            "\(partition)", info.offset < 0 ? "-" : "\(info.offset)",
            info.timestamp < 0 ? "-" : TimestampText.iso8601(info.timestamp))
        }
        for line in table.lines() { try Output.standard.line(line) }
        return
      }
      let first = try await admin.offsets(partitions, .earliest)
      let end = try await admin.endOffsets(partitions)
      var table = Table("PARTITION", "FIRST", "END", "RECORDS")
      for partition in partitions {
        let count = first[partition].flatMap { first in end[partition].map { $0 - first } }
        let text = { (value: Int64?) in value.map(String.init) ?? "-" }
        table.add("\(partition)", text(first[partition]), text(end[partition]), text(count))
      }
      for line in table.lines() { try Output.standard.line(line) }
    }
  }
}
