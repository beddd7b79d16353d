// Why a configuration was refused. On the wire all of these are INVALID_CONFIG with `message`.

package enum ConfigError: Error, Sendable, Equatable {
  case unknown(name: String, of: String)
  /// A key of Kafka for a feature that is not here.
  case unsupported(name: String, reason: String)
  case invalid(name: String, value: String, reason: String)
  /// Two keys that cannot both be as they are.
  case conflict(String)
  case readOnly(name: String)
  case perBrokerOnly(name: String)
  case notAList(name: String, operation: String)
  case tooLong(name: String, limit: Int)

  package var message: String {
    switch self {
    case .unknown(let name, let owner): "Unknown \(owner) config '\(name)'."
    case .unsupported(let name, let reason): "Configuration '\(name)' is not supported: \(reason)."
    case .invalid(let name, let value, let reason): "Invalid value '\(value)' for configuration '\(name)': \(reason)."
    case .conflict(let reason): reason
    case .readOnly(let name):
      "Configuration '\(name)' cannot change while the broker runs: set it where the broker is started."
    case .perBrokerOnly(let name):
      "Configuration '\(name)' cannot be a default of the cluster: name the broker that it is for."
    case .notAList(let name, let operation): "Cannot \(operation) configuration '\(name)': its type is not a list."
    case .tooLong(let name, let limit): "The value of configuration '\(name)' is longer than \(limit) bytes."
    }
  }
}
