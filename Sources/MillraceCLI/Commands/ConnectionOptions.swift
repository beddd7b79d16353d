// The options that every command for a cluster takes.
import ArgumentParser
import MillraceClient

struct ConnectionOptions: ParsableArguments {
  @Option(
    name: [.customLong("bootstrap-server"), .customShort("b")],
    help: ArgumentHelp("Brokers to connect to, separated by commas. (default: localhost:9092)", valueName: "host:port"))
  var bootstrapServer: String?

  @Option(help: ArgumentHelp("A properties file with client settings by Kafka's names.", valueName: "file"))
  var commandConfig: String?

  func properties() throws -> ClientProperties {
    var properties = ClientProperties(clientId: "millrace")
    if let commandConfig { try properties.read(file: commandConfig) }
    if let bootstrapServer { properties.set("bootstrap.servers", bootstrapServer, origin: "--bootstrap-server") }
    return properties
  }

  /// Connects, runs `body` and closes the connections again.
  func withAdmin<Result>(_ body: (Admin) async throws -> Result) async throws -> Result {
    try await Admin.connected(try properties().client(), body)
  }
}

extension Admin {
  static func connected<Result>(_ configuration: ClientConfiguration, _ body: (Admin) async throws -> Result)
    async throws -> Result
  {
    let admin = try await Admin(configuration)
    do {
      let result = try await body(admin)
      await admin.close()
      return result
    } catch {
      await admin.close()
      throw error
    }
  }
}

/// Several things were asked for and some of them failed; each was told on standard error.
struct SomeFailed: Error {}
