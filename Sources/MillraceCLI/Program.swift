// The command line: `millrace COMMAND`. Every command is a file in Commands/ and speaks the wire protocol through
// MillraceClient, so it works against any Kafka; `serve` is the composition root of the broker. The commands of
// KafkaTools/ have the names, options and output of Kafka's own tools.
import ArgumentParser

@main
struct Program: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "millrace",
    abstract: "A log broker that speaks the Kafka protocol, and the tools to work with it.",
    version: "millrace \(Version.current)",
    groupedSubcommands: [
      CommandGroup(name: "The broker", subcommands: [Serve.self, Storage.self, LogFiles.self]),
      CommandGroup(name: "Records", subcommands: [Produce.self, Consume.self, DeadLetters.self, Bench.self]),
      CommandGroup(name: "Topics", subcommands: [Topics.self, GetOffsets.self, DeleteRecords.self]),
      CommandGroup(
        name: "Groups, transactions and configs", subcommands: [Groups.self, Transactions.self, Configs.self]),
      CommandGroup(name: "The cluster", subcommands: [ApiVersions.self, LogDirs.self]),
      CommandGroup(
        name: "Kafka's tools",
        subcommands: [
          KafkaTopics.self, KafkaConsoleProducer.self, KafkaConsoleConsumer.self, KafkaConsumerGroups.self,
          KafkaConsoleShareConsumer.self, KafkaShareGroups.self,
          KafkaConfigs.self, KafkaGetOffsets.self, KafkaDeleteRecords.self,
          KafkaTransactions.self, KafkaLogDirs.self, KafkaBrokerApiVersions.self, KafkaStorage.self,
          KafkaServerStart.self,
          KafkaServerStop.self, KafkaProducerPerfTest.self, KafkaConsumerPerfTest.self,
        ]),
    ])

  static func main() async {
    Output.ignoreBrokenPipes()
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
      try Output.standard.flush()
    } catch is OutputClosed {
      // Whoever read the output has seen enough.
    } catch {
      try? Output.standard.flush()
      exit(withError: error is SomeFailed ? ExitCode.failure : error)
    }
  }
}
