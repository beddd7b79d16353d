// kafka-delete-records.sh
import ArgumentParser
import MillraceClient

struct KafkaDeleteRecords: KafkaTool {
  static let configuration = hidden("kafka-delete-records")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-delete-records.sh",
    purpose: "This tool helps to delete records of the given partitions down to the specified offset.",
    options: [
      .bootstrapServer, .commandConfig,
      ToolOption(
        "offset-json-file", argument: .required("file"),
        help:
          #"REQUIRED: the offsets, as {"partitions":[{"topic":"foo","partition":1,"offset":1}],"version":1}; -1 deletes all."#
      ),
    ])

  func run(_ given: ToolArguments) async throws {
    let offsets = try DeletionPlan.parse(try Input(path: try given.required("offset-json-file")).all())
    let client = try clientProperties(given, clientId: "kafka-delete-records").client()
    try await Admin.connected(client) { admin in
      try Output.standard.line("Executing records delete operation")
      let results = try await admin.deleteRecords(before: offsets)
      try Output.standard.line("Records delete operation completed:")
      for (partition, result) in results.sorted(by: { $0.key < $1.key }) {
        switch result {
        case .success(let low): try Output.standard.line("partition: \(partition)\tlow_watermark: \(low)")
        case .failure(let error): try Output.standard.line("partition: \(partition)\terror: \(error)")
        }
      }
    }
  }
}

/// The file that says up to where records are deleted.
enum DeletionPlan {
  struct Failure: Error, Equatable, CustomStringConvertible { let description: String }

  static func parse(_ bytes: [UInt8]) throws -> [TopicPartition: Int64] {
    let value: JSONValue
    do { value = try JSONParser.parse(bytes) } catch {
      throw Failure(description: "The input string is not a valid JSON: \(error)")
    }
    if let version = value["version"], version != .integer(1) {
      throw Failure(description: "Not supported version field value \(version.text)")
    }
    guard case .array(let list)? = value["partitions"] else { throw Failure(description: "Missing partitions field") }
    var offsets: [TopicPartition: Int64] = [:]
    for entry in list {
      guard case .string(let topic)? = entry["topic"], case .integer(let index)? = entry["partition"],
        case .integer(let offset)? = entry["offset"], let partition = Int32(exactly: index)
      else { throw Failure(description: "Each partition needs a topic, a partition and an offset: \(entry.text)") }
      guard offsets.updateValue(offset, forKey: TopicPartition(topic, partition)) == nil else {
        throw Failure(description: "Offset json file contains duplicate topic partitions: \(topic)-\(partition)")
      }
    }
    return offsets
  }
}
