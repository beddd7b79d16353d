// millrace bench consume
import ArgumentParser
import MillraceClient

extension Bench {
  struct ConsumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "consume", abstract: "Read records from the beginning and tell the rate.",
      discussion: """
          millrace bench consume orders --records 1000000
        """)

    @Argument(help: "The topics.") var topics: [String]
    @Option(name: [.customShort("n"), .customLong("records")], help: "How many records.") var count: Int64 = 1_000_000
    @Option(help: "The group; a new one if none is named.") var group: String?
    @Option(help: ArgumentHelp("End when no record came for so long.", valueName: "span")) var timeout = "10s"
    @Flag(help: "A line for every five seconds.") var intervals = false
    @Option(
      name: [.customShort("X"), .customLong("set")],
      help: ArgumentHelp("A setting of the consumer; may be given several times.", valueName: "key=value"))
    var settings: [String] = []
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      if count < 1 { throw ValidationError("--records must be positive") }
      if DurationText.milliseconds(timeout) == nil {
        throw ValidationError("--timeout \(timeout): expected a span such as 10s")
      }
    }

    func run() async throws {
      var properties = try connection.properties()
      properties.set("auto.offset.reset", "earliest", origin: "the command")
      for pair in settings { try properties.set(pair: pair, origin: "--set") }
      var bench = ConsumeBench(topics: topics, count: count)
      bench.idleTimeout = .milliseconds(DurationText.milliseconds(timeout) ?? 10_000)
      bench.showsIntervals = intervals
      let name = group ?? "perf-consumer-\(Int.random(in: 0..<100_000))"
      try await bench.run(try properties.consumer(groupId: name))
    }
  }
}
