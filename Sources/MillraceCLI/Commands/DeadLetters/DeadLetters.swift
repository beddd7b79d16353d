// millrace dlq
import ArgumentParser
import MillraceClient
import NIOCore

struct DeadLetters: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dlq",
    abstract: "See dead letters, put them back, and clear them away.",
    discussion: """
      Understood are the headers of Kafka's share groups and of Millrace (__dlq.errors.*), of Kafka Connect, of Kafka \
      Streams and of Spring. Works on any Kafka cluster.

        millrace dlq list
        millrace dlq list orders-dlt --error-class timeout
        millrace dlq show orders-dlt 0:42 --payload json
        millrace dlq redrive orders-dlt --dry-run
        millrace dlq redrive orders-dlt --rate 100 --since 2h
        millrace dlq purge orders-dlt --redriven
      """,
    subcommands: [
      ListLetters.self, ShowLetter.self, RedriveLetters.self, RedriveStatusCommand.self, CancelRedrive.self,
      PurgeLetters.self,
    ])
}

/// Which letters a command is about.
struct LetterFilterOptions: ParsableArguments {
  @Option(help: "Only letters with this key; may be given several times.") var key: [String] = []
  @Option(
    name: [.customShort("H"), .long],
    help: ArgumentHelp("Only letters with this header; may be given several times.", valueName: "name[=value]"))
  var header: [String] = []
  @Option(help: ArgumentHelp("Only errors of this type, in full.", valueName: "type")) var errorClass: String?
  @Option(help: ArgumentHelp("Only errors whose message contains this.", valueName: "text")) var errorMessage: String?
  @Option(
    help: ArgumentHelp(
      "Only records of this time or later; a time (UTC unless it says otherwise) or an age (2h).", valueName: "time"))
  var since: String?
  @Option(help: ArgumentHelp("Only records of before this time.", valueName: "time")) var until: String?
  @Option(name: .shortAndLong, help: "Only this partition of the dead letters; may be given several times.")
  var partition: [Int32] = []
  @Option(help: ArgumentHelp("Only letters at these offsets: 10-20, 10- or 10.", valueName: "range")) var offsets:
    String?
  @Option(help: ArgumentHelp("Only records that were in this topic.", valueName: "topic")) var sourceTopic: String?
  @Option(help: ArgumentHelp("Only records that this group could not process.", valueName: "group")) var group: String?

  func validate() throws {
    for text in [since, until].compactMap({ $0 }) where Self.time(text, nowMs: 0) == nil {
      throw ValidationError("\(text): expected a time such as 2026-03-01T12:00:00, or an age such as 30m")
    }
    if let offsets, Self.range(offsets) == nil {
      throw ValidationError("--offsets \(offsets): expected 10-20, 10- or 10")
    }
    if header.contains(where: { $0.hasPrefix("=") || $0.isEmpty }) {
      throw ValidationError("--header: expected name or name=value")
    }
    if partition.contains(where: { $0 < 0 }) { throw ValidationError("partitions are counted from 0") }
  }

  func filter(nowMs: Int64) -> LetterFilter {
    var filter = LetterFilter()
    filter.keys = Set(key.map { ByteBuffer(string: $0) })
    filter.headers = header.map { text in
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return LetterFilter.Header(
        name: String(parts[0]), value: parts.count > 1 ? ByteBuffer(string: String(parts[1])) : nil)
    }
    filter.exceptionClass = errorClass
    filter.message = errorMessage
    if since != nil || until != nil {
      let first = since.flatMap { Self.time($0, nowMs: nowMs) } ?? .min
      filter.timestamps = first..<max(first, until.flatMap { Self.time($0, nowMs: nowMs) } ?? .max)
    }
    filter.partitions = Set(partition)
    filter.offsets = offsets.flatMap(Self.range)
    filter.sourceTopic = sourceTopic
    filter.group = group
    return filter
  }

  static func time(_ text: String, nowMs: Int64) -> Int64? {
    TimestampText.parse(text)
      ?? DurationText.milliseconds(text).map { nowMs.subtractingReportingOverflow($0).partialValue }
  }

  /// `10-20` with both ends, `10-` without an end, `10` alone.
  static func range(_ text: String) -> Range<Int64>? {
    let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first.flatMap({ Int64($0) }), first >= 0, first < .max else { return nil }
    guard parts.count > 1 else { return first..<(first + 1) }
    guard !parts[1].isEmpty else { return first..<Int64.max }
    guard let last = Int64(parts[1]), last >= first, last < .max else { return nil }
    return first..<(last + 1)
  }
}

/// `partition:offset`, as in `0:42`.
enum LetterPlace {
  static func parse(_ text: String) -> (partition: Int32, offset: Int64)? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, let partition = Int32(parts[0]), let offset = Int64(parts[1]), partition >= 0, offset >= 0,
      offset < .max
    else { return nil }
    return (partition, offset)
  }
}
