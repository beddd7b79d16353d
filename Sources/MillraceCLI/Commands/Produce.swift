// millrace produce
import ArgumentParser
import MillraceClient

struct Produce: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Send records from standard input or files to a topic.",
    discussion: """
      Each line is the value of a record. With --key-separator a line is a key and a value; with --format json it is an \
      object as `consume --format json` writes it; with --format file each input is one record.

        echo hello | millrace produce orders
        millrace produce orders --key-separator : <<< 'o-1:{"total":12}'
        millrace produce orders --format json --compression zstd orders.jsonl
        millrace produce images --format file --key cat cat.png
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument { case lines, json, file }
  enum AckCount: String, CaseIterable, ExpressibleByArgument {
    case none = "0"
    case leader = "1"
    case all
  }

  @Argument(help: "The topic.") var topic: String
  @Argument(help: "Files to read instead of standard input; - is standard input.") var files: [String] = []
  @Option(name: .shortAndLong, help: "What the input is: lines, json (one object a line) or file.") var format = Format
    .lines
  @Option(
    name: [.customShort("k"), .long], help: ArgumentHelp("Each line is a key, this, and a value.", valueName: "text"))
  var keySeparator: String?
  @Option(help: "The key of all records that bring none.") var key: String?
  @Option(
    name: [.customShort("H"), .long],
    help: ArgumentHelp("A header of all records; may be given several times.", valueName: "name=value"))
  var header: [String] = []
  @Option(help: ArgumentHelp("A key or value that reads so is null.", valueName: "text")) var nullMarker: String?
  @Option(name: .shortAndLong, help: "The partition of all records; otherwise the key decides.") var partition: Int32?
  @Option(name: [.customShort("z"), .long], help: "none, gzip, snappy, lz4 or zstd.") var compression: String?
  @Option(name: .shortAndLong, help: "Who must have a record: 0 (nobody), 1 (the leader) or all.") var acks: AckCount?
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    for pair in header where !pair.dropFirst().contains("=") {
      throw ValidationError("--header \(pair): expected name=value")
    }
    if let partition, partition < 0 { throw ValidationError("--partition \(partition): partitions are counted from 0") }
    if let compression, Compression(rawValue: compression) == nil {
      throw ValidationError("--compression \(compression): expected none, gzip, snappy, lz4 or zstd")
    }
    if format != .lines, keySeparator != nil || nullMarker != nil {
      throw ValidationError("--key-separator and --null-marker are for --format lines")
    }
    if keySeparator?.isEmpty == true { throw ValidationError("--key-separator cannot be empty") }
  }

  func run() async throws {
    var properties = try connection.properties()
    if let compression { properties.set("compression.type", compression, origin: "--compression") }
    if let acks { properties.set("acks", acks.rawValue, origin: "--acks") }
    let inputs = try files.isEmpty ? [.standard] : files.map { $0 == "-" ? .standard : try Input(path: $0) }
    if inputs.contains(where: { $0 === Input.standard && $0.isTerminal }) {
      note("Type records, one a line; Ctrl-D ends the input.")
    }
    let headers = header.map { pair in
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return OutgoingRecord.Header(name: String(parts[0]), value: Array(parts[1].utf8))
    }
    let fixedKey = key.map { Array($0.utf8) }
    let written = try await Producing.run(
      RecordFeed(format: try feedFormat(), inputs: inputs), topic: topic, try properties.producer()
    ) { [partition] record in
      record.key = record.key ?? fixedKey
      record.partition = partition ?? record.partition
      record.headers += headers
    }
    if Output.error.isTerminal { note("\(written) \(written == 1 ? "record" : "records") written to \(topic)") }
  }

  private func feedFormat() throws -> RecordFeed.Format {
    switch format {
    case .json: return .json
    case .file: return .whole
    case .lines:
      var lines = LineFormat()
      if let keySeparator {
        lines.parsesKey = true
        lines.keySeparator = Array(keySeparator.utf8)
      }
      lines.nullMarker = nullMarker.map { Array($0.utf8) }
      try lines.check()
      return .lines(lines)
    }
  }
}
