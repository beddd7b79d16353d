// Puts dead letters back: takes the lock, reads from where the group stands to the end as it is at the beginning, and
// writes chunk by chunk. The group's offsets are the only memory: whoever begins again goes on there.

/// Puts the records of a dead-letter topic back to where they came from.
///
/// ```swift
/// var configuration = RedriveConfiguration(client, topic: "orders-dlt")
/// configuration.filter.exceptionClass = "timeout"
/// configuration.rate = 100
/// let summary = try await Redrive(configuration).run()
/// print(summary[.redriven], "records are back")
/// ```
///
/// A letter is understood whoever wrote it (see ``DeadLetter/Dialect-swift.enum``). What is written has the key, value,
/// timestamp and headers of the record that failed, and headers that say how often it was put back (`__dlq.replays`) and
/// where its letter is (`__dlq.redriven.*`). The key decides on the partition. The letters stay where they are.
///
/// One redrive of a topic runs at a time, over all processes. Interrupted at any point and begun again it goes on where it
/// was, and with transactions every letter arrives exactly once for those who read committed records.
public struct Redrive: Sendable {
  /// What is put back, and how.
  public let configuration: RedriveConfiguration

  /// A redrive. Nothing is connected before it runs.
  public init(_ configuration: RedriveConfiguration) {
    self.configuration = configuration
  }

  /// What a run would do, without changing anything at all.
  public func plan() async throws -> RedriveSummary {
    try configuration.check()
    return try await withAdmin { admin in
      var total = RedriveSummary()
      var targets = Targets(admin)
      try await withReader(try await spans(admin, requireStable: false)) { reader in
        while case let chunk = try await read(&reader, RedriveChunk.letterLimit, &targets), !chunk.isEmpty {
          total.add(chunk.summary)
        }
      }
      return total
    }
  }

  /// Redrives until the end of the topic as it is at the beginning.
  ///
  /// - Throws: ``RedriveFailure``, or `KafkaError`; with code `.cancelled` when the task was cancelled. What was done until
  ///   then is done, and told by ``RedriveConfiguration/onProgress``.
  @discardableResult
  public func run() async throws -> RedriveSummary {
    try configuration.check()
    return try await withAdmin { admin in
      let partitionCount = try await admin.letterSpans(of: configuration.topic).count
      let lock = try await RedriveLock(configuration, partitionCount: partitionCount, admin) { owner in
        var progress = RedriveProgress()
        progress.waitsFor = owner
        configuration.onProgress?(progress)
      }
      return try await finally(lock.release) {
        // Not before the lock is ours: it ends what an earlier one left open, and fences that.
        let writer = try await RedriveWriter(configuration, lock)
        return try await finally(writer.close) { try await run(admin, writer) }
      }
    }
  }

  private func run(_ admin: Admin, _ writer: RedriveWriter) async throws -> RedriveSummary {
    let spans = try await spans(admin, requireStable: true)
    var left = spans
    var targets = Targets(admin)
    var pace = configuration.rate.map { RedrivePace($0, now: .now) }
    var progress = RedriveProgress()
    progress.total = spans.values.reduce(0) { $0 + $1.count }
    configuration.onProgress?(progress)
    try await withReader(spans) { reader in
      var isAtEnd = false
      while !isAtEnd {
        var chunk = try await read(&reader, RedriveChunk.limit(rate: configuration.rate), &targets)
        isAtEnd = chunk.isEmpty
        if isAtEnd { chunk.finish(spans) }
        if let due = pace?.pass(chunk.recordCount, now: .now) { try await Task.sleep(until: due) }
        try await writer.write(chunk)
        for (partition, offset) in chunk.offsets { left[partition]?.start = offset.offset }
        progress.summary.add(chunk.summary)
        progress.passed = progress.total - left.values.reduce(0) { $0 + $1.count }
        configuration.onProgress?(progress)
      }
    }
    return progress.summary
  }

  // MARK: Reading

  /// From where the group stands, or the beginning, to the end.
  private func spans(_ admin: Admin, requireStable: Bool) async throws(KafkaError) -> [TopicPartition: LetterReader
    .Span]
  {
    let group = RedriveConfiguration.group(of: configuration.topic)
    let starts = configuration.restarts ? [:] : try await admin.groupOffsets(group, requireStable: requireStable)
    return try await admin.letterSpans(of: configuration.topic, from: starts.mapValues(\.offset))
  }

  /// The next letters with what becomes of them; none at the end.
  private func read(
    _ reader: inout LetterReader, _ limit: Int, _ targets: inout Targets
  ) async throws(KafkaError) -> RedriveChunk {
    let rule = configuration.rule
    var chunk = RedriveChunk()
    while !chunk.isFull(limit), let letter = try await reader.next() {
      switch rule.decide(letter) {
      case .skip(let outcome): chunk.add(letter, outcome)
      case .write(let record):
        if try await targets.exist(record.topic) {
          chunk.add(letter, .redriven, writing: record)
        } else {
          chunk.add(letter, .sourceMissing)
        }
      }
    }
    return chunk
  }

  /// Which topics are there: asked for before something is written, which could create them.
  private struct Targets {
    private let admin: Admin
    private var known: [String: Bool] = [:]

    init(_ admin: Admin) { self.admin = admin }

    mutating func exist(_ topic: String) async throws(KafkaError) -> Bool {
      if let exists = known[topic] { return exists }
      switch try await admin.describeTopics([topic])[topic] {
      case .success?: known[topic] = true
      case .failure(let error)?
      where error.brokerCode == .unknownTopicOrPartition || error.brokerCode == .invalidTopicException:
        known[topic] = false
      case .failure(let error)?: throw error
      case nil: throw KafkaError(.invalidResponse, "the broker's answer leaves out topic '\(topic)'")
      }
      return known[topic] ?? false
    }
  }

  // MARK: Closing what was opened

  private func withAdmin<Value>(_ body: (Admin) async throws -> Value) async throws -> Value {
    let admin = try await Admin(configuration.client)
    return try await finally(admin.close) { try await body(admin) }
  }

  private func withReader(
    _ spans: [TopicPartition: LetterReader.Span], _ body: (inout LetterReader) async throws -> Void
  ) async throws {
    var reader = try await LetterReader(configuration.client, spans)
    do {
      try await body(&reader)
    } catch {
      await reader.close()
      throw error
    }
    await reader.close()
  }

  /// The end is brought about beside the task, which may be cancelled: brokers have to hear of it.
  private func finally<Value>(
    _ end: @escaping @Sendable () async -> Void, _ body: () async throws -> Value
  ) async throws -> Value {
    do {
      let value = try await body()
      await end()
      return value
    } catch {
      await Task { await end() }.value
      throw error
    }
  }
}
