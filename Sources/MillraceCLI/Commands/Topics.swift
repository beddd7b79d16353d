// millrace topics
import ArgumentParser
import MillraceClient

struct Topics: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Create, list, describe, alter and delete topics.",
    subcommands: [Create.self, List.self, Describe.self, Alter.self, Delete.self])

  struct Create: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Create topics.",
      discussion: """
        Without options a topic gets the broker's default number of partitions.

          millrace topics create orders --partitions 6
          millrace topics create sessions --config cleanup.policy=compact --config segment.ms=3600000
        """)

    @Argument(help: "The names of the topics.") var names: [String]
    @Option(name: .shortAndLong, help: "The number of partitions.") var partitions: Int32?
    @Option(help: "The number of replicas of each partition.") var replicationFactor: Int16?
    @Option(
      name: .shortAndLong,
      help: ArgumentHelp("A config of the topics; may be given several times.", valueName: "key=value"))
    var config: [String] = []
    @Flag(help: "A topic that is there already is no error.") var ifNotExists = false
    @Flag(help: "Only check whether it could be done.") var dryRun = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      if let partitions, partitions < 1 { throw ValidationError("a topic has at least one partition") }
      if let replicationFactor, replicationFactor < 1 { throw ValidationError("a partition has at least one replica") }
      for pair in config where !pair.dropFirst().contains("=") {
        throw ValidationError("--config \(pair): expected key=value")
      }
    }

    func run() async throws {
      let configs = Dictionary(
        config.map { pair in
          let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
          return (String(parts[0]), String(parts[1]))
        }, uniquingKeysWith: { _, last in last })
      let topics = names.map {
        NewTopic($0, partitions: partitions, replicationFactor: replicationFactor, configs: configs)
      }
      try await connection.withAdmin { admin in
        let results = try await admin.createTopics(topics, validateOnly: dryRun)
        try Results.tell(names, results) { name, created in
          let partitions = created.partitions.map { " with \($0) \($0 == 1 ? "partition" : "partitions")" } ?? ""
          return dryRun ? "\(name) could be created\(partitions)" : "created \(name)\(partitions)"
        } forgive: { error in
          ifNotExists && error.brokerCode == .topicAlreadyExists
        }
      }
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List topics, one a line.")

    @Flag(name: .shortAndLong, help: "Also the cluster's own topics, such as __consumer_offsets.") var all = false
    @Flag(name: .shortAndLong, help: "With their ids and numbers of partitions.") var long = false
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        let names = try await admin.listTopics(includeInternal: all).map(\.name)
        guard long else {
          for name in names { try Output.standard.line(name) }
          return
        }
        var table = Table("TOPIC", "PARTITIONS", "REPLICAS", "ID")
        for topic in try await admin.topics(names) {
          table.add(
            topic.name, "\(topic.partitions.count)", "\(topic.partitions.first?.replicas.count ?? 0)",
            "\(topic.topicId)")
        }
        for line in table.lines() { try Output.standard.line(line) }
      }
    }
  }

  struct Describe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Describe topics: partitions, leaders, replicas, configs that differ from the default.")

    @Argument(help: "The topics; all of them without names.") var names: [String] = []
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        let chosen = names.isEmpty ? try await admin.listTopics().map(\.name) : names
        try await TopicReport.print(try await admin.topics(chosen), admin)
      }
    }
  }

  struct Alter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give a topic more partitions.",
      discussion:
        "Records with the same key may go to another partition afterwards. Configs are altered with `millrace configs alter`."
    )

    @Argument(help: "The topic.") var name: String
    @Option(name: .shortAndLong, help: "The new number of partitions, which must be larger than the old one.")
    var partitions: Int32
    @Flag(help: "Only check whether it could be done.") var dryRun = false
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        let results = try await admin.createPartitions([name: partitions], validateOnly: dryRun)
        try Results.tell([name], results) { name, _ in
          dryRun ? "\(name) could have \(partitions) partitions" : "\(name) has \(partitions) partitions"
        }
      }
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Delete topics with all their records.")

    @Argument(help: "The topics.") var names: [String]
    @Flag(help: "A topic that is not there is no error.") var ifExists = false
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        try Results.tell(names, try await admin.deleteTopics(names)) { name, _ in
          "deleted \(name)"
        } forgive: { error in
          ifExists && error.brokerCode == .unknownTopicOrPartition
        }
      }
    }
  }
}
