// What kafka-consumer-groups.sh and kafka-share-groups.sh have in common, but for the kind of groups.
import ArgumentParser
import MillraceClient

struct GroupTool {
  /// "consumer" or "share".
  let kind: String

  /// Runs `body` with a connection, and says on standard output what the brokers refused, as Kafka's tools do.
  func run(
    _ given: ToolArguments, _ properties: ClientProperties, _ body: (Admin) async throws -> Void
  ) async throws {
    var client = try properties.client()
    if let timeout: Int32 = try given.integer("timeout"), timeout > 0 {
      client.operationTimeout = .milliseconds(timeout)
    }
    do {
      try await Admin.connected(client, body)
    } catch let error as KafkaError {
      try fail("\(error)")
    } catch let error as OffsetPlanning.Failure {
      try fail("\(error)")
    }
  }

  private func fail(_ reason: String) throws {
    try Output.standard.line("\nError: Executing \(kind) group command failed due to \(reason)")
    throw ExitCode(1)
  }

  /// `--describe` shows one thing.
  static func checkView(_ given: ToolArguments) throws(ToolUsageFailure) {
    guard ["members", "offsets", "state"].count(where: given.has) > 1 else { return }
    throw ToolUsageFailure("Option [describe] takes at most one of these options: [members], [offsets], [state]")
  }

  /// Nil for a group that is not there.
  static func present(_ result: Result<GroupDescription, KafkaError>?) throws -> GroupDescription? {
    if case .failure(let error)? = result, error.brokerCode == .groupIdNotFound { return nil }
    return try result?.get()
  }

  /// - Parameter failed: why groups were not deleted.
  func reportDeletion(of groups: [String], failed: [String: String]) throws {
    let done = groups.filter { failed[$0] == nil }.sorted().map { "'\($0)'" }.joined(separator: ", ")
    if failed.isEmpty {
      try Output.standard.line("Deletion of requested \(kind) groups (\(done)) was successful.")
      return
    }
    try Output.standard.line("\nError: Deletion of some \(kind) groups failed:")
    for (group, reason) in failed.sorted(by: { $0.key < $1.key }) {
      try Output.standard.line("* Group '\(group)' could not be deleted due to: \(reason)")
    }
    if !done.isEmpty { try Output.standard.line("\nThese \(kind) groups were deleted successfully: \(done)") }
    throw ExitCode(1)
  }
}
