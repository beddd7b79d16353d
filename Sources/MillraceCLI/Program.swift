// The command line: `millrace COMMAND`. Every command is a file in Commands/ and speaks the wire protocol through
// MillraceClient, so it works against any Kafka; `serve` is the composition root of the broker.
import ArgumentParser

@main
struct Program: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "millrace",
    abstract: "A log broker that speaks the Kafka protocol, and the tools to work with it.",
    version: "millrace \(Version.current)")
}
