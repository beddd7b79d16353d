// millrace delete-records
import ArgumentParser
import MillraceClient

struct DeleteRecords: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Delete the records of partitions before an offset.",
    discussion: """
        millrace delete-records orders:0=1000 orders:1=end
      """)

  @Argument(
    help: ArgumentHelp(
      "The partitions, each with the first offset to keep, or end.", valueName: "topic:partition=offset"))
  var partitions: [String]
  @OptionGroup var connection: ConnectionOptions

  static func parse(_ text: String) -> (TopicPartition, Int64)? {
    guard let equals = text.lastIndex(of: "="), let colon = text[..<equals].lastIndex(of: ":"),
      colon != text.startIndex,
      let partition = Int32(text[text.index(after: colon)..<equals]), partition >= 0
    else { return nil }
    let end = text[text.index(after: equals)...]
    guard let offset = end == "end" ? -1 : Int64(end), offset >= -1 else { return nil }
    return (TopicPartition(String(text[..<colon]), partition), offset)
  }

  func validate() throws {
    for text in partitions where Self.parse(text) == nil {
      throw ValidationError("\(text): expected topic:partition=offset, as in orders:0=1000")
    }
  }

  func run() async throws {
    let offsets = Dictionary(partitions.compactMap(Self.parse), uniquingKeysWith: { _, last in last })
    try await connection.withAdmin { admin in
      try Results.tell(offsets.keys.sorted(), try await admin.deleteRecords(before: offsets)) { partition, low in
        "\(partition) begins at offset \(low)"
      }
    }
  }
}
