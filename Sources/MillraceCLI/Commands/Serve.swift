// millrace serve: the broker. Picks up its settings, starts a BrokerNode, and stops it on SIGTERM or SIGINT.
import ArgumentParser
import Logging
import Millrace
import MillraceBroker
import MillraceCoordination

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a broker.",
    discussion: """
      Settings have Kafka's names. They are taken from the properties file, over them from environment variables \
      (MILLRACE_LOG_DIRS is log.dirs), over them from --set, --listeners and --log-dirs.

        millrace serve
        millrace serve --config config/server.properties
        millrace serve --listeners PLAINTEXT://0.0.0.0:9092 --set advertised.listeners=PLAINTEXT://orders.local:9092
        millrace serve --log-dirs /var/lib/millrace --set num.partitions=3

      SIGTERM and Ctrl-C stop it: what was taken is answered, and the data directories are left clean.
      """)

  @Option(help: ArgumentHelp("A properties file.", valueName: "file")) var config: String?
  @Option(help: ArgumentHelp("Where to listen, as NAME://HOST:PORT, comma separated.", valueName: "list"))
  var listeners: String?
  @Option(help: ArgumentHelp("The data directories, comma separated.", valueName: "list")) var logDirs: String?
  @Option(help: ArgumentHelp("A setting; may be given several times.", valueName: "key=value")) var set: [String] = []
  @Option(help: "What is logged to standard error: trace, debug, info, notice, warning, error or critical.")
  var logLevel: LogLevel = .notice

  func run() async throws {
    let began = ContinuousClock.now
    Surroundings.raiseOpenFileLimit()
    let configuration = try BrokerConfiguration(properties: settings(), hostName: Surroundings.hostName)
    var logger = Logger(label: "millrace") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = logLevel.level
    let node = try await BrokerNode.start(configuration, logger: logger)
    try announce(node, configuration, after: began.duration(to: .now))
    try await Interruption.wait()
    await node.stop()
  }

  private func announce(
    _ node: BrokerNode, _ configuration: BrokerConfiguration, after time: Duration
  ) throws {
    let addresses = node.addresses.map(\.description).joined(separator: ", ")
    let directories = configuration.logDirectories.joined(separator: ", ")
    let bootstrap = configuration.listeners.first.map { listener in
      let port = listener.advertisedPort == 0 ? node.addresses.first?.port ?? 0 : listener.advertisedPort
      return "\(listener.advertisedHost):\(port)"
    }
    let milliseconds = time / .milliseconds(1)
    try Output.standard.line(
      "millrace \(Version.current) is ready on \(addresses), data in \(directories) (\(Int(milliseconds)) ms)")
    try Output.standard.line(
      "  try: tools/kafka-topics.sh --create --topic orders --bootstrap-server \(bootstrap ?? "localhost:9092")")
    try Output.standard.line(
      "  try: tools/millrace produce orders, and in another terminal: tools/millrace consume orders")
    try Output.standard.flush()
  }

  /// Everything that was set, the weakest first.
  private func settings() throws -> [ConfigEntry] {
    var entries: [ConfigEntry] = []
    if let config {
      entries += try Properties.parse(try Input.text(path: config), file: config).map {
        ConfigEntry(name: $0.name, value: $0.value, origin: "\(config):\($0.line)")
      }
    }
    entries += Self.settings(environment: Surroundings.environment(prefix: Self.environmentPrefix))
    for pair in set {
      guard let equals = pair.firstIndex(of: "="), equals != pair.startIndex else {
        throw ValidationError("--set \(pair): expected key=value")
      }
      entries.append(
        ConfigEntry(
          name: String(pair[..<equals]), value: String(pair[pair.index(after: equals)...]), origin: "--set"))
    }
    if let listeners { entries.append(ConfigEntry(name: "listeners", value: listeners, origin: "--listeners")) }
    if let logDirs { entries.append(ConfigEntry(name: "log.dirs", value: logDirs, origin: "--log-dirs")) }
    return entries
  }

  private static let environmentPrefix = "MILLRACE_"
  /// Variables with the prefix that are no settings of a broker.
  private static let otherVariables: Set<String> = ["MILLRACE_BIN"]

  static func settings(environment: [String: String]) -> [ConfigEntry] {
    environment.filter { !otherVariables.contains($0.key) }.sorted { $0.key < $1.key }.map { name, value in
      let key = name.dropFirst(environmentPrefix.count).lowercased().split(separator: "_").joined(separator: ".")
      return ConfigEntry(name: key, value: value, origin: name)
    }
  }
}

enum LogLevel: String, ExpressibleByArgument, CaseIterable {
  case trace, debug, info, notice, warning, error, critical
  var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .notice }
}
