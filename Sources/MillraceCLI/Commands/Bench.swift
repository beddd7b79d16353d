// millrace bench
import ArgumentParser
import MillraceClient

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure how fast records are written and read.",
    discussion: "The output is that of Kafka's kafka-producer-perf-test.sh and kafka-consumer-perf-test.sh.",
    subcommands: [ProduceCommand.self, ConsumeCommand.self])
}
