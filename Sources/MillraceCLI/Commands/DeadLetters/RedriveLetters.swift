// millrace dlq redrive, status and cancel
import ArgumentParser
import MillraceClient

struct RedriveLetters: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "redrive",
    abstract: "Put dead letters back to where they came from.",
    discussion: """
      Each letter goes to the topic that its headers name, or to the one given by --to; the key decides on the \
      partition. Key, value, timestamp and headers are the record's own. Added are __dlq.replays, which counts how often \
      it was put back, and __dlq.redriven.topic, .partition and .offset: where its letter lies. The letters stay.

      The offsets of the group millrace.redrive.TOPIC say how far a redrive is. They are committed in one transaction \
      with the records, so one that was interrupted, in whatever way, goes on where it was when it is begun again, and \
      readers of committed records get each letter once. It ends at the end that the topic had at the beginning. Letters \
      that the conditions leave out are passed too: --from-beginning finds them again.

        millrace dlq redrive orders-dlt --dry-run
        millrace dlq redrive orders-dlt --rate 100 --error-class timeout
        millrace dlq redrive orders-dlt --to orders-repaired --from-beginning --offsets 40-59 --partition 0
      """)

  @Argument(help: "The topic with the dead letters.") var topic: String
  @Option(help: ArgumentHelp("Put them into this topic.", valueName: "topic")) var to: String?
  @Flag(help: "Only count what would become of them; changes nothing at all.") var dryRun = false
  @Option(help: ArgumentHelp("So many a second.", valueName: "number")) var rate: Double?
  @Option(
    parsing: .unconditional,
    help: ArgumentHelp(
      "Leave letters that were put back so often where they are; -1 for no limit.", valueName: "number"))
  var maxReplays = 3
  @Flag(help: "Begin at the first letter instead of where the last redrive ended.") var fromBeginning = false
  @Flag(
    help:
      "Do without transactions, for brokers that have none: what is interrupted may then put some letters back twice.")
  var noTransactions = false
  @Flag(help: "Write the outcome as a JSON object.") var json = false
  @OptionGroup(title: "Which letters") var filter: LetterFilterOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    if let rate, !(rate > 0 && rate <= 1e9) { throw ValidationError("--rate: expected a number greater than zero") }
    if maxReplays < -1 { throw ValidationError("--max-replays \(maxReplays): expected a number, or -1 for no limit") }
    if to == topic { throw ValidationError("--to \(topic): dead letters cannot be put back into their own topic") }
  }

  private func redrive(_ onProgress: @escaping @Sendable (RedriveProgress) -> Void) throws -> Redrive {
    let properties = try connection.properties()
    var client = try properties.client()
    // By this name others are told who has the lock.
    if properties["client.id"] == nil {
      client.clientId = "millrace-redrive-\(Surroundings.hostName)-\(Surroundings.processId)"
    }
    var configuration = RedriveConfiguration(client, topic: topic)
    configuration.producer = try properties.producer()
    configuration.target = to
    configuration.filter = filter.filter(nowMs: Surroundings.nowMs())
    configuration.maxReplays = maxReplays < 0 ? nil : maxReplays
    configuration.rate = rate
    configuration.isTransactional = !noTransactions
    configuration.restarts = fromBeginning
    configuration.onProgress = onProgress
    return Redrive(configuration)
  }

  func run() async throws {
    let report = RedriveReport(topic: topic, isPlan: dryRun)
    let redrive = try redrive { report.tell($0) }
    let isInterrupted: Bool
    do {
      isInterrupted = try await Interruption.watch { [dryRun] in
        if dryRun {
          report.take(try await redrive.plan())
        } else {
          report.take(try await redrive.run())
        }
      }
    } catch {
      try report.write(json: json, isComplete: false)
      try Output.standard.flush()
      throw error
    }
    try report.write(json: json, isComplete: !isInterrupted)
    try Output.standard.flush()
    if isInterrupted {
      note("Interrupted. Begin it again to go on.")
      throw ExitCode(130)
    }
    if report.hasUnroutable {
      note("Some letters have no topic to go back to; --to names one, with --from-beginning to find them again.")
      throw SomeFailed()
    }
  }
}

struct RedriveStatusCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Show how far redrives are, and who runs them.")

  @Argument(help: "The topics with the dead letters; without, all that were redriven.") var topics: [String] = []
  @Flag(help: "One JSON object a line.") var json = false
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    try await connection.withAdmin { admin in
      let names = topics.isEmpty ? try await admin.redrivenTopics() : topics
      var table = Table("TOPIC", "STATE", "PASSED", "LEFT", "RUN-BY")
      var failed = false
      for name in names {
        let status: RedriveStatus
        do { status = try await admin.redriveStatus(of: name) } catch {
          note("Error: \(error)")
          failed = true
          continue
        }
        if json {
          try Output.standard.line(RedriveReport.json(status).text)
        } else {
          table.add(
            name, status.members.isEmpty ? "idle" : "running", "\(status.passed)", "\(status.left)",
            status.members.first.map { "\($0.clientId) at \($0.clientHost)" } ?? "-")
        }
      }
      if !json { for line in table.lines() { try Output.standard.line(line) } }
      if failed { throw SomeFailed() }
    }
  }
}

struct CancelRedrive: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "End a redrive that runs, here or elsewhere; what it did stays done.")

  @Argument(help: "The topic with the dead letters.") var topic: String
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    try await connection.withAdmin { admin in
      let members = try await admin.cancelRedrive(of: topic)
      guard let member = members.first else {
        note("No redrive of '\(topic)' is running.")
        throw SomeFailed()
      }
      try Output.standard.line("cancelled the redrive of \(topic) by \(member.clientId) at \(member.clientHost)")
    }
  }
}
