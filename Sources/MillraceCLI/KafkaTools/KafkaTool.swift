// Kafka's command-line tools by their own names: hidden commands that the scripts tools/kafka-*.sh run. They take
// Kafka's options and print what Kafka's tools print, so that tutorials can be followed word for word.
import ArgumentParser
import MillraceClient

protocol KafkaTool: AsyncParsableCommand {
  static var definition: ToolDefinition { get }
  var arguments: [String] { get }
  func run(_ given: ToolArguments) async throws
}

extension KafkaTool {
  static func hidden(_ name: String) -> CommandConfiguration {
    CommandConfiguration(commandName: name, abstract: definition.purpose, shouldDisplay: false)
  }

  func run() async throws {
    if arguments.contains("--help") || arguments.contains("-h") || arguments.isEmpty {
      note(Self.definition.usage)
      throw ExitCode(arguments.isEmpty ? 1 : 0)
    }
    if arguments == ["--version"] {
      try Output.standard.line("\(Version.kafka) (Millrace \(Version.current))")
      return
    }
    do {
      try await run(try Self.definition.parse(arguments))
    } catch let failure as ToolUsageFailure {
      note("\(failure)\n\n\(Self.definition.usage)")
      throw ExitCode(1)
    }
  }

  /// The client's configuration: `--command-config FILE`, then `properties`, then `--bootstrap-server`.
  func clientProperties(
    _ given: ToolArguments, file: String = "command-config", properties: String? = nil, clientId: String
  ) throws -> ClientProperties {
    var collected = ClientProperties(clientId: clientId)
    if let path = given.value(file) { try collected.read(file: path) }
    if let properties {
      for pair in given.values(properties) { try collected.set(pair: pair, origin: "--\(properties)") }
    }
    if let servers = given.value("bootstrap-server") {
      collected.set("bootstrap.servers", servers, origin: "--bootstrap-server")
    }
    guard collected["bootstrap.servers"] != nil else {
      throw ToolUsageFailure("Missing required argument \"[bootstrap-server]\"")
    }
    return collected
  }
}
