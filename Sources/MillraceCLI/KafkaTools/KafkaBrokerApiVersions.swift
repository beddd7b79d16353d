// kafka-broker-api-versions.sh
import ArgumentParser
import MillraceClient
import MillraceProtocol

struct KafkaBrokerApiVersions: KafkaTool {
  static let configuration = hidden("kafka-broker-api-versions")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-broker-api-versions.sh", purpose: "This tool helps to retrieve broker version information.",
    options: [.bootstrapServer, .commandConfig])

  func run(_ given: ToolArguments) async throws {
    let client = try clientProperties(given, clientId: "admin-1").client()
    try await Admin.connected(client) { admin in
      for (broker, result) in try await admin.apiVersions().sorted(by: { $0.key.id < $1.key.id }) {
        let name =
          "\(broker.host):\(broker.port) (id: \(broker.id) rack: \(broker.rack ?? "null") isFenced: \(broker.isFenced))"
        switch result {
        case .success(let versions):
          let lines = versions.apis.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\n\t" + Self.line($0) }
          try Output.standard.line("\(name) -> (\(lines.joined(separator: ","))\n)")
        case .failure(let error): try Output.standard.line("\(name) -> ERROR: \(error)")
        }
      }
    }
  }

  static func line(_ api: BrokerApiVersions.Api) -> String {
    let (low, high) = (api.versions.lowerBound, api.versions.upperBound)
    let range = low == high ? "\(low)" : "\(low) to \(high)"
    var usable = ""
    if let ours = Api[api.key]?.validVersions {
      usable =
        ours.overlaps(api.versions)
        ? " [usable: \(min(high, ours.upperBound))]" : " [unusable: node too \(high < ours.lowerBound ? "old" : "new")]"
    }
    return "\(api.key)(\(api.key.rawValue)): \(range)\(usable)"
  }
}
