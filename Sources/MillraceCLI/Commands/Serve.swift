// millrace serve: reads the settings, starts a broker, and stops it on SIGTERM or Ctrl-C.
import ArgumentParser
import Logging
import Millrace
import MillraceBroker
import MillraceCoordination

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a broker.",
    discussion: """
      Without settings it listens on port 9092 of this machine only and keeps its data in ./data. The keys are Kafka's; \
      config/server.properties lists the usual ones. From the weakest to the strongest: --config, environment \
      variables (MILLRACE_LOG_DIRS is log.dirs), --listeners and --log-dirs, --set.

        millrace serve
        millrace serve --config config/server.properties
        millrace serve --listeners PLAINTEXT://0.0.0.0:9092 --set advertised.listeners=PLAINTEXT://broker.example:9092
      """)

  @Option(name: .shortAndLong, help: ArgumentHelp("A properties file.", valueName: "file")) var config: String?
  @Option(help: ArgumentHelp("Where to listen: PLAINTEXT://host:port, separated by commas.", valueName: "list"))
  var listeners: String?
  @Option(help: ArgumentHelp("The data directories, separated by commas.", valueName: "list")) var logDirs: String?
  @Option(
    name: [.customShort("X"), .long],
    help: ArgumentHelp("A setting; may be given several times.", valueName: "key=value"))
  var set: [String] = []
  @Option(help: "How much is logged: trace, debug, info, notice, warning, error or critical.")
  var logLevel = LogLevel.notice

  func run() async throws {
    let entries = try ServeSettings.entries(
      file: try config.map { [($0, try Input.text(path: $0))] } ?? [],
      environment: Surroundings.environment(prefix: ServeSettings.prefix), listeners: listeners,
      logDirectories: logDirs, overrides: set)
    try await RunningBroker.run(entries, logLevel: logLevel.level)
  }
}

enum LogLevel: String, ExpressibleByArgument, CaseIterable {
  case trace, debug, info, notice, warning, error, critical

  var level: Logger.Level { Logger.Level(rawValue: rawValue) ?? .notice }
}

/// A broker from its start to its end.
enum RunningBroker {
  static func run(_ entries: [ConfigEntry], logLevel: Logger.Level) async throws {
    let began = ContinuousClock.now
    Surroundings.raiseOpenFileLimit()
    let configuration = try BrokerConfiguration(properties: entries, hostName: Surroundings.hostName)
    var logger = Logger(label: "millrace") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = logLevel
    let idle = ServeSettings.withoutEffect(entries)
    if !idle.isEmpty { logger.notice("these settings change nothing here: \(idle.joined(separator: ", "))") }
    try await Interruption.watch { [logger] in
      let node = try await BrokerNode.start(configuration, logger: logger)
      try announce(node, configuration, after: began.duration(to: .now))
      while !Task.isCancelled { try? await Task.sleep(for: .seconds(86_400)) }
      // Of a task of its own: this one is cancelled.
      await Task { await node.stop() }.value
    }
  }

  /// One line when the broker is ready, and two on what to try.
  private static func announce(_ node: BrokerNode, _ configuration: BrokerConfiguration, after time: Duration) throws {
    let addresses = node.addresses.map(\.description).joined(separator: " and ")
    let directories = configuration.logDirectories.joined(separator: ", ")
    let bootstrap = configuration.listeners.first.map { listener in
      "\(listener.advertisedHost):\(listener.advertisedPort == 0 ? node.addresses.first?.port ?? 0 : listener.advertisedPort)"
    }
    let server = bootstrap == nil || bootstrap == "localhost:9092" ? "" : " -b \(bootstrap ?? "")"
    let program = Surroundings.programName
    try Output.standard.line(
      "Millrace \(Version.current) is ready on \(addresses), data in \(directories) (\(time.microseconds / 1000) ms)")
    try Output.standard.line("  write:  echo hello | \(program) produce greetings\(server)")
    try Output.standard.line("  read:   \(program) consume greetings --from beginning\(server)")
    try Output.standard.flush()
  }
}
