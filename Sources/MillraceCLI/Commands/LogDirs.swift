// millrace log-dirs
import ArgumentParser
import MillraceClient

struct LogDirs: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Show the data directories of brokers and what is in them.")

  @Option(help: "Only this topic; may be given several times.") var topic: [String] = []
  @Flag(help: "As JSON.") var json = false
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    try await connection.withAdmin { admin in
      let brokers = try await admin.describeLogDirs().mapValues { try $0.get() }
      if json {
        try Output.standard.line(LogDirReport.json(brokers, topics: Set(topic)).text)
        return
      }
      for (broker, directories) in brokers.sorted(by: { $0.key < $1.key }) {
        for directory in directories {
          var heading = "broker \(broker): \(directory.path)"
          if let usable = directory.usableBytes, let total = directory.totalBytes {
            heading += ", \(byteText(usable)) of \(byteText(total)) free"
          }
          if let error = directory.error { heading += ", \(error)" }
          try Output.standard.line(heading)
          var table = Table("PARTITION", "BYTES", "SIZE")
          for (partition, replica) in directory.replicas.sorted(by: { $0.key < $1.key })
          where topic.isEmpty || topic.contains(partition.topic) {
            table.add("\(partition)", "\(replica.sizeInBytes)", byteText(replica.sizeInBytes))
          }
          for line in table.lines() { try Output.standard.line(line) }
        }
      }
    }
  }
}
