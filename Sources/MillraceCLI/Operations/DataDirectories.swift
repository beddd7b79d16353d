// Data directories before a broker uses them, as Kafka's storage tool treats them.
import MillraceBroker
import MillraceLog
import MillraceProtocol

enum DataDirectories {
  struct Failure: Error, CustomStringConvertible { let description: String }

  static func configuration(file: String?, logDirectories: String?) throws -> BrokerConfiguration {
    try BrokerConfiguration(
      properties: try ServeSettings.entries(
        file: try file.map { [($0, try Input.text(path: $0))] } ?? [],
        environment: Surroundings.environment(prefix: ServeSettings.prefix), logDirectories: logDirectories))
  }

  /// The properties of a directory that is formatted.
  private static func properties(_ directory: String) throws -> [Property]? {
    let path = directory + "/meta.properties"
    guard let bytes = try PosixFileSystem().contents(of: path) else { return nil }
    return try Properties.parse(String(decoding: bytes, as: UTF8.self), file: path)
  }

  static func format(_ configuration: BrokerConfiguration, clusterId: String, ignoreFormatted: Bool) throws {
    guard Uuid(base64: clusterId) != nil else {
      throw Failure(
        description: "Cluster ID string \(clusterId) does not appear to be a valid UUID: make one with random-uuid")
    }
    var fresh: [String] = []
    for directory in configuration.logDirectories {
      if try properties(directory) == nil {
        fresh.append(directory)
      } else if !ignoreFormatted {
        throw Failure(
          description:
            "Log directory \(directory) is already formatted. Use --ignore-formatted to ignore this directory and format the others."
        )
      }
    }
    if fresh.isEmpty {
      try Output.standard.line("All of the log directories are already formatted.")
      return
    }
    let nowMs = Surroundings.nowMs()
    let store = try LogStore.open(
      StoreOptions(
        directories: configuration.logDirectories, clusterId: clusterId, brokerId: configuration.nodeId,
        hasThreads: false),
      nowMs: nowMs)
    store.close(nowMs: nowMs)
    for directory in fresh {
      try Output.standard.line("Formatting data directory \(directory) with metadata.version \(Version.kafkaMetadata).")
    }
  }

  static func describe(_ directories: [String]) throws {
    var found: [String] = []
    var problems: [String] = []
    var first: [String: String]?
    for directory in directories.sorted() {
      guard let properties = try properties(directory) else {
        problems.append("\(directory) is not formatted.")
        continue
      }
      found.append(directory)
      let values = Dictionary(properties.map { ($0.name, $0.value) }, uniquingKeysWith: { _, last in last })
      if let first {
        if first["cluster.id"] != values["cluster.id"] {
          problems.append("Mismatched cluster IDs between storage directories.")
        }
        if first["node.id"] != values["node.id"] { problems.append("Mismatched node IDs between storage directories.") }
      }
      first = first ?? values
    }
    if !found.isEmpty {
      try Output.standard.line(found.count == 1 ? "Found log directory:" : "Found log directories:")
      for directory in found { try Output.standard.line("  \(directory)") }
      try Output.standard.line()
    }
    if let first {
      let pairs = first.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", ")
      try Output.standard.line("Found metadata: {\(pairs)}\n")
    }
    guard !problems.isEmpty else { return }
    try Output.standard.line(problems.count == 1 ? "Found problem:" : "Found problems:")
    for problem in problems { try Output.standard.line("  \(problem)") }
    throw SomeFailed()
  }
}
