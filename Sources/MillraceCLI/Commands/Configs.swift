// millrace configs
import ArgumentParser
import MillraceClient

struct Configs: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "See and change the configuration of topics, brokers and groups.",
    subcommands: [Describe.self, Alter.self])

  struct Entity: ParsableArguments {
    @Option(help: "The topic.") var topic: String?
    @Option(help: ArgumentHelp("The broker.", valueName: "id")) var broker: Int32?
    @Flag(help: "The common default of all brokers.") var brokerDefaults = false
    @Option(help: "The group.") var group: String?

    func validate() throws {
      guard [topic != nil, broker != nil, brokerDefaults, group != nil].count(where: \.self) == 1 else {
        throw ValidationError("choose one of --topic, --broker, --broker-defaults and --group")
      }
    }

    var resource: ConfigResource {
      if let topic {
        .topic(topic)
      } else if let broker {
        .broker(broker)
      } else if let group {
        .group(group)
      } else {
        ConfigResource(.broker, "")
      }
    }
  }

  struct Describe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show configs that differ from their default, or all.",
      discussion: """
          millrace configs describe --topic orders
          millrace configs describe --broker 1 --all --documentation
        """)

    @OptionGroup var entity: Entity
    @Flag(name: .shortAndLong, help: "Also configs that have their default.") var all = false
    @Flag(help: "What each config is for.") var documentation = false
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        let results = try await admin.describeConfigs([entity.resource], includeDocumentation: documentation)
        var table = Table("CONFIG", "VALUE", "SOURCE")
        let entries = try results[entity.resource]?.get() ?? []
        for entry in entries.sorted(by: { $0.name < $1.name }) where all || !entry.isDefault {
          table.add(entry.name, entry.value ?? (entry.isSensitive ? "(secret)" : "-"), entry.source.name)
          if documentation, let text = entry.documentation {
            table.rows.append(["  " + text.split(separator: "\n").joined(separator: " ")])
          }
        }
        guard !table.rows.isEmpty else {
          note("Every config of \(entity.resource) has its default; --all shows them.")
          return
        }
        // A line of documentation is no column.
        var columns = table
        columns.rows.removeAll { $0.count == 1 }
        var lines = columns.lines()[...]
        try Output.standard.line(lines.removeFirst())
        for row in table.rows { try Output.standard.line(row.count == 1 ? row[0] : lines.removeFirst()) }
      }
    }
  }

  struct Alter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Set configs, or put them back to their default.",
      discussion: """
          millrace configs alter --topic orders --set retention.ms=86400000
          millrace configs alter --topic orders --delete retention.ms
        """)

    @OptionGroup var entity: Entity
    @Option(help: ArgumentHelp("A config to set; may be given several times.", valueName: "key=value")) var set:
      [String] = []
    @Option(help: ArgumentHelp("A config to put back to its default; may be given several times.", valueName: "key"))
    var delete: [String] = []
    @Option(help: ArgumentHelp("Add to a config that is a list.", valueName: "key=value")) var append: [String] = []
    @Option(help: ArgumentHelp("Take from a config that is a list.", valueName: "key=value")) var subtract: [String] =
      []
    @Flag(help: "Only check whether it could be done.") var dryRun = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      if set.isEmpty, delete.isEmpty, append.isEmpty, subtract.isEmpty {
        throw ValidationError("there is nothing to do: use --set, --delete, --append or --subtract")
      }
      for pair in set + append + subtract where !pair.dropFirst().contains("=") {
        throw ValidationError("\(pair): expected key=value")
      }
    }

    func run() async throws {
      func pairs(_ texts: [String], _ change: (String, String) -> ConfigChange) -> [ConfigChange] {
        texts.map { text in
          let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
          return change(String(parts[0]), String(parts[1]))
        }
      }
      let changes =
        pairs(set) { .set($0, $1) } + delete.map { .delete($0) } + pairs(append) { .append($0, $1) }
        + pairs(subtract) { .subtract($0, $1) }
      try await connection.withAdmin { admin in
        let results = try await admin.alterConfigs([entity.resource: changes], validateOnly: dryRun)
        try Results.tell([entity.resource], results) { resource, _ in
          dryRun ? "\(resource) could be altered" : "altered \(resource)"
        }
      }
    }
  }
}
