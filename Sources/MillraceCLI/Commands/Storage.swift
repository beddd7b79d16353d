// millrace storage
import ArgumentParser
import MillraceBroker
import MillraceLog
import MillraceProtocol

struct Storage: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prepare and look at data directories.",
    discussion:
      "A broker prepares its data directories itself when it starts; formatting them is needed only to choose the id of the cluster.",
    subcommands: [RandomUuid.self, Format.self, Info.self])

  struct RandomUuid: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Print a random id for a cluster.")
    func run() throws { try Output.standard.line("\(Uuid.random())") }
  }

  struct Settings: ParsableArguments {
    @Option(name: .shortAndLong, help: ArgumentHelp("The broker's properties file.", valueName: "file")) var config:
      String?
    @Option(help: ArgumentHelp("The data directories, separated by commas.", valueName: "list")) var logDirs: String?

    func configuration() throws -> BrokerConfiguration {
      try DataDirectories.configuration(file: config, logDirectories: logDirs)
    }
  }

  struct Format: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Make data directories those of a broker and a cluster.")

    @Option(name: [.customShort("t"), .long], help: "The id of the cluster, from `millrace storage random-uuid`.")
    var clusterId: String
    @Flag(name: [.customShort("g"), .long], help: "Directories that are formatted already are no error.")
    var ignoreFormatted = false
    @OptionGroup var settings: Settings

    func run() throws {
      try DataDirectories.format(try settings.configuration(), clusterId: clusterId, ignoreFormatted: ignoreFormatted)
    }
  }

  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show which data directories are formatted, and for whom.")

    @OptionGroup var settings: Settings

    func run() throws { try DataDirectories.describe(try settings.configuration().logDirectories) }
  }
}
