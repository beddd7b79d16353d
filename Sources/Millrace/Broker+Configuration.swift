import Logging
import MillraceClient
import MillraceLog
import NIOCore
import NIOPosix

extension Broker {
  /// How a broker is set up.
  ///
  /// ```swift
  /// let broker = Broker(
  ///   Broker.Configuration(
  ///     storage: .directory(directory), listener: BrokerAddress(host: "127.0.0.1", port: 0),
  ///     settings: ["num.partitions": "3", "log.retention.hours": "24"]))
  /// ```
  public struct Configuration: Sendable {
    /// Where records are kept.
    public var storage: Storage
    /// Where to listen for clients of other processes: `BrokerAddress(host: "localhost", port: 9092)`. Port 0 takes a
    /// free one, which ``Broker/addresses`` tells once it is started; an empty host is every address of the machine.
    /// Nil opens no socket at all: clients of the same process need none.
    public var listener: BrokerAddress?
    /// Kafka's settings by their names: `["num.partitions": "3", "log.retention.hours": "24"]`. A name that does not
    /// exist, or a value that cannot be, is an error when the broker starts.
    ///
    /// What is not set has Kafka's default. In memory these have others: `log.durability` is `buffered`,
    /// `group.initial.rebalance.delay.ms` is 0, and the internal topics have 4 partitions.
    public var settings: [String: String]
    /// The event loops that connections live on. They stay the caller's.
    public var eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    /// What the broker logs to, and its clients unless they are told otherwise.
    public var logger = Logger(label: "millrace")

    /// A configuration; see the properties of the same names.
    public init(
      storage: Storage = .memory(), listener: BrokerAddress? = nil, settings: [String: String] = [:]
    ) {
      self.storage = storage
      self.listener = listener
      self.settings = settings
    }
  }

  /// Where a broker keeps its records.
  public struct Storage: Sendable, Equatable {
    enum Kind: Equatable {
      case memory(capacityBytes: Int)
      case directory(String)
    }

    let kind: Kind

    /// The memory of this process; all is gone when the broker stops.
    /// - Parameter capacityBytes: what records and all else may take together, a gibibyte if nothing is said. Beyond
    ///   it the broker refuses writes with `KAFKA_STORAGE_ERROR`, as with a full disk, until retention makes room.
    public static func memory(capacityBytes: Int = 1 << 30) -> Storage {
      Storage(kind: .memory(capacityBytes: capacityBytes))
    }

    /// A directory in Kafka's format, made if it is not there. One broker at a time has it.
    public static func directory(_ path: String) -> Storage { Storage(kind: .directory(path)) }

    var fileSystem: any FileSystem {
      switch kind {
      case .memory(let capacityBytes): MemoryFileSystem(capacityBytes: capacityBytes)
      case .directory: PosixFileSystem()
      }
    }
  }
}
