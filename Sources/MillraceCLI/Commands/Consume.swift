// millrace consume
import ArgumentParser
import MillraceClient

struct Consume: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Read the records of topics.",
    discussion: """
      Reads from the end and waits for records, unless told otherwise; Ctrl-C ends it. As a member of a group it begins \
      at the group's committed offsets and commits what it has written out.

        millrace consume orders --from beginning --format json
        millrace consume orders --from -10 --stop-at-end
        millrace consume orders --from 2026-03-01T12:00:00 --partition 0 --count 5
        millrace consume orders --group billing --from beginning
        millrace consume mails --share --group mailers

      With --exec a program handles every record, in order within a partition. Its exit code is the answer: 0 for done, \
      65 to reject the record at once (EX_DATAERR), 126 and 127 (it cannot be run) end the command without passing the \
      record; any other code, a signal or a time-out is a failed attempt. The end of what it writes to standard error \
      goes into the dead letter. An offset is committed when its record is done, or its dead letter is acknowledged.

        millrace consume orders --group billing --exec 'curl -sf --data-binary @- http://localhost/bill' --dead-letters
        millrace consume orders --group billing --exec ./bill --retries 5 --backoff 200ms --workers 8 --dead-letters=dead
        millrace consume mails --share --group mailers --exec ./send --workers 8

      In a share group the records are not in order, 0 accepts, 65 rejects and any other end releases the record: how \
      often it is tried again, after which pauses, and where dead letters go are configs of the group.

      The program gets the value on standard input, byte for byte, or with --format json the whole record. In its \
      environment are MILLRACE_TOPIC, MILLRACE_PARTITION, MILLRACE_OFFSET, MILLRACE_TIMESTAMP (milliseconds), \
      MILLRACE_GROUP, MILLRACE_ATTEMPT (from 1), MILLRACE_KEY (not set for null), MILLRACE_VALUE_IS_NULL=1 for null, \
      MILLRACE_HEADER_<NAME> (letters in upper case, all but letters and digits as _, the last of those that repeat) \
      and MILLRACE_HEADERS (all of them as JSON). What has a NUL byte comes in Base64 instead, as MILLRACE_KEY_BASE64 \
      or MILLRACE_HEADER_<NAME>_BASE64; what is longer than 96 KiB is left out and named in MILLRACE_OMITTED.
      """)

  enum Format: String, CaseIterable, ExpressibleByArgument { case value, key, long, json, none }

  @Argument(help: "The topics.") var topics: [String]
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Where to begin: beginning, end, an offset, -N (the last N records of each partition), a time (UTC unless it says otherwise), or an age (30m). In a group: beginning or end, where it has no offset.",
      valueName: "where"))
  var from = "end"
  @Flag(help: "The same as --from beginning.") var fromBeginning = false
  @Option(name: .shortAndLong, help: "Only this partition; may be given several times.") var partition: [Int32] = []
  @Option(name: .shortAndLong, help: "Read as a member of this group.") var group: String?
  @Flag(
    help:
      "The group is a share group: its members divide the records among each other, and each is accepted when it is written out."
  ) var share = false
  @Option(name: [.customShort("n"), .long], help: "End after so many records.") var count: Int?
  @Option(help: ArgumentHelp("End when no record came for so long: 500ms, 5s, 1m.", valueName: "span")) var timeout:
    String?
  @Flag(name: [.customShort("e"), .long], help: "End at the end of the partitions.") var stopAtEnd = false
  @Option(
    name: .shortAndLong,
    help: "value, key (key and value), long (for a person), json (one object a line) or none (only count).")
  var format = Format.value
  @Option(help: ArgumentHelp("Between key and value with --format key.", valueName: "text")) var keySeparator = "\t"
  @Flag(help: "Only records of committed transactions.") var committed = false
  @OptionGroup(title: "Handling by a program") var handler: HandlerOptions
  @OptionGroup var connection: ConnectionOptions

  /// Where reading begins, from the text of --from.
  static func position(_ text: String, nowMs: Int64) -> StartPosition? {
    switch text {
    case "beginning", "earliest": .earliest
    case "end", "latest": .latest
    default:
      if let offset = Int64(text) {
        text.hasPrefix("-") ? .fromEnd(Int64(clamping: offset.magnitude)) : .offset(offset)
      } else {
        (TimestampText.parse(text) ?? DurationText.milliseconds(text).map { nowMs - $0 }).map { .timestamp(max(0, $0)) }
      }
    }
  }

  private var start: StartPosition? { Self.position(fromBeginning ? "beginning" : from, nowMs: Surroundings.nowMs()) }

  func validate() throws {
    guard start != nil else {
      throw ValidationError(
        "--from \(from): expected beginning, end, an offset, -N, a time such as 2026-03-01T12:00:00, or an age such as 30m"
      )
    }
    if let timeout, DurationText.milliseconds(timeout) == nil {
      throw ValidationError("--timeout \(timeout): expected a span such as 5s")
    }
    if let count, count < 0 { throw ValidationError("--count \(count): expected a number of records") }
    if partition.contains(where: { $0 < 0 }) { throw ValidationError("partitions are counted from 0") }
    try validateShare()
    if handler.isUsed {
      guard group != nil else { throw ValidationError("--exec commits what is done, and needs a --group for that") }
      if format != .value, format != .json { throw ValidationError("--exec takes --format value or json") }
      if count != nil { throw ValidationError("--exec has no --count: use --timeout to end when nothing comes") }
    }
    guard group != nil else { return }
    if !partition.isEmpty {
      throw ValidationError("a group shares out partitions by itself: choose one of --group and --partition")
    }
    if stopAtEnd { throw ValidationError("a group has no end: use --count or --timeout instead of --stop-at-end") }
    switch start {
    case .earliest?, .latest?: break
    default: throw ValidationError("a group begins at its committed offsets: use `millrace groups reset` to move them")
    }
  }

  private func validateShare() throws {
    guard share else { return }
    guard let group else { throw ValidationError("--share needs a --group") }
    try handler.validate(shareGroup: group)
    if committed {
      throw ValidationError(
        "a share group's isolation is a config of the group: `millrace configs` sets share.isolation.level")
    }
    if start != .latest {
      throw ValidationError(
        "where a share group begins is a config of the group: `millrace configs` sets share.auto.offset.reset")
    }
  }

  func run() async throws {
    if share, let group { return try await runShared(group) }
    var configuration = try connection.properties().consumer(groupId: group)
    configuration.stopAtEnd = stopAtEnd
    if committed { configuration.isolation = .readCommitted }
    let start = start ?? .latest
    if case .earliest = start { configuration.autoOffsetReset = .earliest }
    if let command = handler.command, let group { return try await handle(by: command, group, configuration) }
    let consuming = Consuming(format: recordFormat, limit: count, idleTimeout: idleTimeout)
    let outcome = try await consuming.run(configuration) { [topics, partition, group] consumer in
      if group != nil {
        try await consumer.subscribe(to: topics)
      } else if partition.isEmpty {
        try await consumer.assign(topics: topics, from: start)
      } else {
        let partitions = topics.flatMap { topic in partition.map { TopicPartition(topic, $0) } }
        try await consumer.assign(Dictionary(partitions.map { ($0, start) }, uniquingKeysWith: { first, _ in first }))
      }
    }
    try finish(outcome)
  }

  private func runShared(_ group: String) async throws {
    let configuration = try connection.properties().shareConsumer(groupId: group)
    if let command = handler.command { return try await handle(by: command, group, configuration) }
    let consuming = Consuming(format: recordFormat, limit: count, idleTimeout: idleTimeout)
    try finish(try await consuming.run(sharing: configuration, topics: topics))
  }

  private var idleTimeout: Duration? { timeout.flatMap(DurationText.milliseconds).map { .milliseconds($0) } }

  private func finish(_ outcome: Consuming.Outcome) throws {
    if Output.error.isTerminal { note("\(outcome.count) \(outcome.count == 1 ? "record" : "records")") }
    if case .none = recordFormat { try Output.standard.line("\(outcome.count)") }
    if case .idle = outcome.ending, let count, outcome.count < count {
      note("Error: only \(outcome.count) of \(count) records came in time")
      throw SomeFailed()
    }
  }

  private func handle(by command: String, _ group: String, _ consumer: ConsumerConfiguration) async throws {
    var configuration = WorkerConfiguration(consumer, producer: try connection.properties().producer())
    configuration.policy = handler.policy
    configuration.writesDeadLetters = handler.deadLetters != nil
    configuration.concurrency = handler.workers
    try await run(command, group) { [configuration, topics] tell, handler in
      var configuration = configuration
      configuration.onEvent = tell
      return try await RecordWorker(configuration).run(topics, handler)
    }
  }

  private func handle(by command: String, _ group: String, _ consumer: ShareConsumerConfiguration) async throws {
    var configuration = ShareWorkerConfiguration(consumer)
    configuration.concurrency = handler.workers
    try await run(command, group) { [configuration, topics] tell, handler in
      var configuration = configuration
      configuration.onEvent = tell
      return try await ShareWorker(configuration).run(topics, handler)
    }
  }

  private func run(_ command: String, _ group: String, _ work: @escaping HandlerRun.Work) async throws {
    let program = HandlerProgram(
      command, timeout: handler.execTimeout, payload: format == .json ? .json : .value, group: group)
    try await HandlerRun(program: program, idleTimeout: idleTimeout, work: work).run()
  }

  private var recordFormat: RecordFormat {
    switch format {
    case .value: return .columns(ColumnFormat())
    case .key:
      var columns = ColumnFormat()
      columns.printsKey = true
      columns.keySeparator = keySeparator
      return .columns(columns)
    case .long: return .long
    case .json: return .json
    case .none: return .none
    }
  }
}
