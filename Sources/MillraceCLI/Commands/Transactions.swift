// millrace transactions
import ArgumentParser
import MillraceClient

struct Transactions: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List and describe transactions and producers; find and abort hanging ones.",
    subcommands: [List.self, Describe.self, Producers.self, FindHanging.self, Abort.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List transactional ids with their state.")

    @Option(help: "Only those in this state (Ongoing, CompleteCommit, …); may be given several times.")
    var state: [String] = []
    @Option(help: ArgumentHelp("Only transactions that have been open for so long: 500ms, 5s, 10m.", valueName: "span"))
    var longerThan: String?
    @Option(
      help: ArgumentHelp(
        "Only transactional ids that the expression matches from start to end, in RE2's syntax.", valueName: "regex"))
    var pattern: String?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      if let longerThan, DurationText.milliseconds(longerThan) == nil {
        throw ValidationError("--longer-than \(longerThan): expected a span such as 500ms, 5s or 10m")
      }
    }

    func run() async throws {
      let span = longerThan.flatMap(DurationText.milliseconds).map { Duration.milliseconds($0) }
      try await connection.withAdmin { admin in
        var table = Table("TRANSACTIONAL-ID", "COORDINATOR", "PRODUCER-ID", "STATE")
        for transaction in try await admin.listTransactions(
          states: state, runningLongerThan: span, pattern: pattern)
        {
          table.add(
            transaction.transactionalId, "\(transaction.coordinatorId)", "\(transaction.producerId)", transaction.state)
        }
        for line in table.lines() { try Output.standard.line(line) }
      }
    }
  }

  struct Describe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the producer, state and partitions of transactions.")

    @Argument(help: "The transactional ids.") var transactionalIds: [String]
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        let nowMs = Surroundings.nowMs()
        try Results.tell(transactionalIds, try await admin.describeTransactions(transactionalIds)) { id, transaction in
          let age = transaction.startTimeMs.map {
            "open for \(max(0, nowMs.subtractingReportingOverflow($0).partialValue)) ms"
          }
          let partitions = transaction.partitions.map { "\n  \($0)" }.joined()
          return "\(id): \(transaction.state)\(age.map { ", \($0)" } ?? ""), producer \(transaction.producerId) epoch "
            + "\(transaction.producerEpoch), time-out \(transaction.timeoutMs) ms, coordinator "
            + "\(transaction.coordinatorId)\(partitions)"
        }
      }
    }
  }

  struct Producers: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the producers that partitions remember, with their open transactions.",
      discussion: "  millrace transactions producers orders:0,1")

    @Argument(help: ArgumentHelp("Topics, or some of their partitions.", valueName: "topic[:0,1]")) var topics: [String]
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        let partitions = try await OffsetPlanning.partitions(admin, topics)
        let answers = try await admin.describeProducers(partitions)
        var table = Table(
          "PARTITION", "PRODUCER-ID", "EPOCH", "LAST-SEQUENCE", "LAST-TIMESTAMP", "TRANSACTION-START")
        for partition in partitions {
          guard let producers = try answers[partition]?.get() else { continue }
          for producer in producers {
            table.add(
              "\(partition)", "\(producer.producerId)", "\(producer.producerEpoch)", "\(producer.lastSequence)",
              TimestampText.iso8601(producer.lastTimestamp), producer.transactionStartOffset.map { "\($0)" } ?? "-")
          }
        }
        for line in table.lines() { try Output.standard.line(line) }
      }
    }
  }

  struct FindHanging: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Find open transactions that no coordinator will end.",
      discussion: """
        They keep read_committed consumers from going on. Ended by `millrace transactions abort`.

          millrace transactions find-hanging
          millrace transactions find-hanging orders:0 --older-than 5m
        """)

    @Argument(help: ArgumentHelp("Topics, or some of their partitions; all without.", valueName: "topic[:0,1]"))
    var topics: [String] = []
    @Option(
      help: ArgumentHelp(
        "Older than any transaction may be, which is transaction.max.timeout.ms of the brokers.", valueName: "span"))
    var olderThan = "15m"
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      guard DurationText.milliseconds(olderThan) != nil else {
        throw ValidationError("--older-than \(olderThan): expected a span such as 500ms, 5s or 10m")
      }
    }

    func run() async throws {
      let ageMs = DurationText.milliseconds(olderThan) ?? 0
      try await connection.withAdmin { admin in
        let partitions =
          topics.isEmpty
          ? try await admin.partitions(of: try await admin.listTopics(includeInternal: true).map(\.name))
          : try await OffsetPlanning.partitions(admin, topics)
        let nowMs = Surroundings.nowMs()
        let hanging = try await HangingTransaction.find(admin, in: partitions, olderThanMs: ageMs, nowMs: nowMs)
        var table = Table("PARTITION", "START-OFFSET", "PRODUCER-ID", "EPOCH", "LAST-TIMESTAMP", "MINUTES")
        for transaction in hanging {
          table.add(
            "\(transaction.partition)", transaction.producer.transactionStartOffset.map { "\($0)" } ?? "-",
            "\(transaction.producer.producerId)", "\(transaction.producer.producerEpoch)",
            TimestampText.iso8601(transaction.producer.lastTimestamp), "\(transaction.minutes(nowMs: nowMs))")
        }
        for line in table.lines() { try Output.standard.line(line) }
      }
    }
  }

  struct Abort: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Abort a transaction.",
      discussion: """
        By its transactional id: the coordinator aborts it and fences its producer. By partition and offset: for a
        hanging transaction, which gets an abort marker in that partition.

          millrace transactions abort billing-1
          millrace transactions abort --hanging orders:0 --start-offset 4711
        """)

    @Argument(help: "The transactional ids.") var transactionalIds: [String] = []
    @Option(help: ArgumentHelp("The partition with the hanging transaction.", valueName: "topic:partition"))
    var hanging: String?
    @Option(help: "The first offset of the hanging transaction, as find-hanging shows it.") var startOffset: Int64?
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      guard transactionalIds.isEmpty == (hanging != nil), (hanging == nil) == (startOffset == nil) else {
        throw ValidationError("give transactional ids, or --hanging and --start-offset")
      }
    }

    func run() async throws {
      try await connection.withAdmin { admin in
        let known = transactionalIds.isEmpty ? [:] : try await admin.describeTransactions(transactionalIds)
        for id in transactionalIds {
          // Who fences an unknown id makes it known.
          _ = try known[id]?.get()
          try await admin.fenceProducer(id)
          try Output.standard.line("aborted \(id)")
        }
        guard let hanging, let startOffset else { return }
        let partitions = try await OffsetPlanning.partitions(admin, [hanging])
        guard partitions.count == 1, let partition = partitions.first else {
          throw ValidationError("--hanging \(hanging): expected one partition, as in orders:0")
        }
        guard let transaction = try await HangingTransaction.toAbort(admin, partition, startOffset: startOffset) else {
          note("Error: no transaction is open in \(partition) since offset \(startOffset)")
          throw SomeFailed()
        }
        try await admin.abortTransaction(transaction)
        try Output.standard.line("aborted the transaction in \(partition) since offset \(startOffset)")
      }
    }
  }
}
