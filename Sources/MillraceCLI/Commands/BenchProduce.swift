// millrace bench produce
import ArgumentParser
import MillraceClient

extension Bench {
  struct ProduceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "produce", abstract: "Write records and tell the rate and the latency.",
      discussion: """
          millrace bench produce orders --records 1000000 --size 100 --compression lz4
        """)

    @Argument(help: "The topic.") var topic: String
    @Option(name: [.customShort("n"), .customLong("records")], help: "How many records.") var count: Int64 = 1_000_000
    @Option(name: .shortAndLong, help: ArgumentHelp("The size of a record's value.", valueName: "bytes")) var size = 100
    @Option(name: .shortAndLong, help: ArgumentHelp("At most so many records a second.", valueName: "rate"))
    var throughput: Double?
    @Option(name: [.customShort("z"), .long], help: "none, gzip, snappy, lz4 or zstd.") var compression: String?
    @Option(help: "0, 1 or all.") var acks: String?
    @Option(
      name: [.customShort("X"), .customLong("set")],
      help: ArgumentHelp("A setting of the producer; may be given several times.", valueName: "key=value"))
    var settings: [String] = []
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      if count < 1 || size < 0 || size > 1 << 27 {
        throw ValidationError("--records and --size must be positive, and the size at most 128 MiB")
      }
      if let throughput, !(throughput > 0) { throw ValidationError("--throughput must be greater than 0") }
    }

    func run() async throws {
      var properties = try connection.properties()
      if let compression { properties.set("compression.type", compression, origin: "--compression") }
      if let acks { properties.set("acks", acks, origin: "--acks") }
      for pair in settings { try properties.set(pair: pair, origin: "--set") }
      try await ProduceBench(topic: topic, count: count, payload: .random(bytes: size), throughput: throughput).run(
        try properties.producer())
    }
  }
}
