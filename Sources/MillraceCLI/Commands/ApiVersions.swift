// millrace api-versions
import ArgumentParser
import MillraceClient

struct ApiVersions: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show the APIs, versions and features that brokers announce.")

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    try await connection.withAdmin { admin in
      for (broker, result) in try await admin.apiVersions().sorted(by: { $0.key.id < $1.key.id }) {
        let versions = try result.get()
        try Output.standard.line("broker \(broker.id) at \(broker.host):\(broker.port)")
        var table = Table("KEY", "API", "VERSIONS")
        for api in versions.apis.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
          table.add("\(api.key.rawValue)", "\(api.key)", "\(api.versions.lowerBound) to \(api.versions.upperBound)")
        }
        for line in table.lines() { try Output.standard.line(line) }
        for (feature, range) in versions.supportedFeatures.sorted(by: { $0.key < $1.key }) {
          let level = versions.finalizedFeatures[feature].map { ", finalized at \($0)" } ?? ""
          try Output.standard.line("feature \(feature): \(range.lowerBound) to \(range.upperBound)\(level)")
        }
      }
    }
  }
}
