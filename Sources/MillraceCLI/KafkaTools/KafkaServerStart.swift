// kafka-server-start.sh and kafka-server-stop.sh
import ArgumentParser
import Logging

struct KafkaServerStart: KafkaTool {
  static let configuration = hidden("kafka-server-start")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-server-start.sh", purpose: "Starts a broker; with -daemon before everything else in the background.",
    options: [
      ToolOption("override", argument: .required("property=value"), help: "A setting; may be given several times.")
    ],
    operands: "server.properties")

  func run(_ given: ToolArguments) async throws {
    guard given.operands.count == 1 else { throw ToolUsageFailure("one properties file is expected") }
    let file = given.operands[0]
    try await RunningBroker.run(
      try ServeSettings.entries(
        file: [(file, try Input.text(path: file))], environment: Surroundings.environment(prefix: ServeSettings.prefix),
        overrides: given.values("override")), logLevel: .notice)
  }
}

struct KafkaServerStop: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kafka-server-stop", abstract: "Stops the brokers of this user on this machine.", shouldDisplay: false)
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  func run() async throws {
    let stopped = Processes.terminate { words in
      words.count > 1 && words[0].split(separator: "/").last == "millrace"
        && (words[1] == "serve" || words[1] == "kafka-server-start")
    }
    if stopped == 0 {
      note("No kafka server to stop")
      throw ExitCode(1)
    }
  }
}
