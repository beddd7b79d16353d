// A client's configuration from Kafka's keys: a file (`--command-config`), `key=value` on the command line. Keys that say
// how a Java client works inside (`key.serializer`) are passed over; what would change the meaning is an error.
import MillraceClient

struct ClientProperties: Sendable {
  struct Failure: Error, CustomStringConvertible { let description: String }

  struct Setting: Sendable {
    let value: String
    let origin: String
  }
  private(set) var settings: [String: Setting] = [:]
  private let clientId: String

  init(clientId: String) { self.clientId = clientId }

  subscript(name: String) -> String? { settings[name]?.value }

  mutating func set(_ name: String, _ value: String, origin: String) {
    settings[name] = Setting(value: value, origin: origin)
  }

  mutating func read(file: String) throws {
    for property in try Properties.parse(try Input.text(path: file), file: file) {
      set(property.name, property.value, origin: "\(file):\(property.line)")
    }
  }

  mutating func set(pair: String, origin: String) throws {
    guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex else {
      throw Failure(description: "\(origin) \(pair): expected key=value")
    }
    set(String(pair[..<equals]), String(pair[pair.index(after: equals)...]), origin: origin)
  }

  /// What every client has.
  func client() throws -> ClientConfiguration {
    var client = try ClientConfiguration(bootstrapServers: self["bootstrap.servers"] ?? "localhost:9092")
    client.clientId = self["client.id"] ?? clientId
    try secure(&client)
    try duration("request.timeout.ms") { client.requestTimeout = $0 }
    try duration("default.api.timeout.ms") { client.operationTimeout = $0 }
    try duration("socket.connection.setup.timeout.ms") { client.connectTimeout = $0 }
    try duration("retry.backoff.ms") { client.retryBackoff = $0 }
    try duration("retry.backoff.max.ms") { client.retryBackoffMax = $0 }
    try duration("metadata.max.age.ms") { client.metadataMaxAge = $0 }
    return client
  }

  func failure(_ name: String, _ setting: Setting, _ reason: String) -> Failure {
    let value = Self.secrets.contains(name) ? "…" : setting.value
    return Failure(description: "\(setting.origin): \(name)=\(value): \(reason)")
  }

  func integer(_ name: String, _ range: ClosedRange<Int>, _ use: (Int) -> Void) throws {
    guard let setting = settings[name] else { return }
    guard let value = Int(setting.value), range.contains(value) else {
      throw failure(name, setting, "expected a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    use(value)
  }

  func duration(_ name: String, _ use: (Duration) -> Void) throws {
    try integer(name, 0...Int(Int32.max)) { use(.milliseconds($0)) }
  }

  func boolean(_ name: String, _ use: (Bool) -> Void) throws {
    try choice(name, ["true": true, "false": false], use)
  }

  func choice<Value>(_ name: String, _ choices: [String: Value], _ use: (Value) -> Void) throws {
    guard let setting = settings[name] else { return }
    guard let value = choices[setting.value.lowercased()] else {
      throw failure(name, setting, "expected one of \(choices.keys.sorted().joined(separator: ", "))")
    }
    use(value)
  }
}
