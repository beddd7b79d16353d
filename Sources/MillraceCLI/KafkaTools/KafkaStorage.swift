// kafka-storage.sh
import ArgumentParser
import MillraceProtocol

struct KafkaStorage: KafkaTool {
  static let configuration = hidden("kafka-storage")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-storage.sh", purpose: "The Kafka storage tool: random-uuid, format or info.",
    options: [
      ToolOption("config", "c", argument: .required("file"), help: "The broker's properties file."),
      ToolOption("cluster-id", "t", argument: .required("id"), help: "The id of the cluster."),
      ToolOption("ignore-formatted", "g", help: "Directories that are formatted already are no error."),
      ToolOption("standalone", "s", isIgnored: true, help: "The broker is its own controller."),
      ToolOption("no-initial-controllers", "N", isIgnored: true, help: "The broker is its own controller."),
      ToolOption(
        "initial-controllers", "I", argument: .required("list"), isIgnored: true,
        help: "The broker is its own controller."),
      ToolOption(
        "release-version", "r", argument: .required("version"), isIgnored: true, help: "The version of the metadata."),
      ToolOption("feature", "f", argument: .required("name=level"), isIgnored: true, help: "The level of a feature."),
    ], operands: "random-uuid|format|info")

  func run(_ given: ToolArguments) async throws {
    guard given.operands.count == 1 else { throw ToolUsageFailure("choose one of random-uuid, format and info") }
    switch given.operands[0] {
    case "random-uuid": try Output.standard.line("\(Uuid.random())")
    case "info":
      try DataDirectories.describe(
        try DataDirectories.configuration(file: try given.required("config"), logDirectories: nil).logDirectories)
    case "format":
      do {
        try DataDirectories.format(
          try DataDirectories.configuration(file: try given.required("config"), logDirectories: nil),
          clusterId: try given.required("cluster-id"), ignoreFormatted: given.has("ignore-formatted"))
      } catch let failure as DataDirectories.Failure {
        note("\(failure)")
        throw ExitCode(1)
      }
    default: throw ToolUsageFailure("'\(given.operands[0])' is none of random-uuid, format and info")
    }
  }
}
