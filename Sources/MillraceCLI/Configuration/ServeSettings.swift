// What a broker is started with, from the weakest to the strongest: the file, MILLRACE_* variables of the environment,
// --listeners and --log-dirs, --set. The keys are Kafka's. Each entry keeps its place, so that an error can name it.
import MillraceCoordination

enum ServeSettings {
  struct Failure: Error, Equatable, CustomStringConvertible { let description: String }

  /// Variables with the prefix that are no settings: the scripts of tools/ use them.
  static let reserved: Set<String> = ["MILLRACE_BIN"]
  static let prefix = "MILLRACE_"

  static func entries(
    file: [(path: String, text: String)] = [], environment: [String: String] = [:], listeners: String? = nil,
    logDirectories: String? = nil, overrides: [String] = []
  ) throws -> [ConfigEntry] {
    var entries: [ConfigEntry] = []
    for file in file {
      for property in try Properties.parse(file.text, file: file.path) {
        entries.append(ConfigEntry(name: property.name, value: property.value, origin: "\(file.path):\(property.line)"))
      }
    }
    for (variable, value) in environment.sorted(by: { $0.key < $1.key }) where !reserved.contains(variable) {
      entries.append(ConfigEntry(name: key(of: variable), value: value, origin: variable))
    }
    if let listeners { entries.append(ConfigEntry(name: "listeners", value: listeners, origin: "--listeners")) }
    if let logDirectories { entries.append(ConfigEntry(name: "log.dirs", value: logDirectories, origin: "--log-dirs")) }
    for pair in overrides {
      guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex else {
        throw Failure(description: "--set \(pair): expected key=value, as in --set num.partitions=3")
      }
      entries.append(
        ConfigEntry(
          name: pair[..<equals].trimmed, value: pair[pair.index(after: equals)...].trimmed, origin: "--set"))
    }
    return entries
  }

  /// `MILLRACE_LOG_DIRS` is `log.dirs`.
  static func key(of variable: String) -> String {
    String(variable.dropFirst(prefix.count).map { $0 == "_" ? "." : Character($0.lowercased()) })
  }

  /// Keys among the entries that Kafka knows and that change nothing here.
  static func withoutEffect(_ entries: [ConfigEntry]) -> [String] {
    Set(entries.map(\.name)).filter { BrokerConfigs.definition($0)?.documentation.contains("no effect") == true }
      .sorted()
  }
}
