import MillraceCoordination
import MillraceProtocol
import Testing

@Suite struct AlterConfigsTests {
  private let orders = ConfigResource.topic("orders")
  private let broker = ConfigResource(.broker, "1")
  private let cluster = ConfigResource(.broker, "")

  private func driverWithOrders() -> CatalogDriver {
    var driver = CatalogDriver()
    driver.make("orders")
    return driver
  }

  @Test func `set and delete change one key and leave the others`() {
    var driver = driverWithOrders()
    #expect(driver.alter(orders, [("retention.ms", .set, "5"), ("segment.ms", .set, "6")]).errorCode == 0)
    #expect(driver.alter(orders, [("retention.ms", .delete, nil)]).errorCode == 0)
    #expect(driver.catalog.configs[orders] == ["segment.ms": "6"])
    #expect(driver.replayed() == driver.catalog)
  }

  @Test func `append and subtract work on lists, starting from the default`() {
    var driver = driverWithOrders()
    #expect(driver.alter(orders, [("cleanup.policy", .append, "compact")]).errorCode == 0)
    #expect(driver.catalog.configs[orders] == ["cleanup.policy": "delete,compact"])
    #expect(driver.alter(orders, [("cleanup.policy", .append, "compact")]).errorCode == 0)
    #expect(driver.catalog.configs[orders] == ["cleanup.policy": "delete,compact"])
    #expect(driver.alter(orders, [("cleanup.policy", .subtract, "delete")]).errorCode == 0)
    #expect(driver.catalog.configs[orders] == ["cleanup.policy": "compact"])
    #expect(driver.alter(orders, [("retention.ms", .append, "5")]).errorCode.code == .invalidConfig)
    #expect(driver.alter(orders, [("no.such.key", .append, "5")]).errorCode.code == .invalidConfig)
  }

  @Test func `one bad change refuses the whole resource`() {
    var driver = driverWithOrders()
    let result = driver.alter(orders, [("retention.ms", .set, "5"), ("segment.bytes", .set, "tiny")])
    #expect(result.errorCode.code == .invalidConfig)
    #expect(result.errorMessage?.contains("segment.bytes") == true)
    #expect(driver.catalog.configs.isEmpty)
  }

  @Test func `the legacy form replaces everything`() {
    var driver = driverWithOrders()
    #expect(driver.replace(orders, with: ["retention.ms": "5", "segment.ms": "6"]).errorCode == 0)
    #expect(driver.replace(orders, with: ["segment.ms": "7"]).errorCode == 0)
    #expect(driver.catalog.configs[orders] == ["segment.ms": "7"])
    #expect(driver.replace(orders, with: [:]).errorCode == 0)
    #expect(driver.catalog.configs.isEmpty)
  }

  @Test func `validate only finds the error or nothing, and changes nothing`() {
    var driver = driverWithOrders()
    let before = driver.catalog
    #expect(driver.alter(orders, [("retention.ms", .set, "5")], validateOnly: true).errorCode == 0)
    #expect(driver.alter(orders, [("retention.ms", .set, "x")], validateOnly: true).errorCode.code == .invalidConfig)
    #expect(driver.catalog == before)
  }

  @Test func `keys that contradict each other are refused together`() {
    var driver = driverWithOrders()
    #expect(driver.alter(orders, [("max.compaction.lag.ms", .set, "10")]).errorCode == 0)
    #expect(driver.alter(orders, [("min.compaction.lag.ms", .set, "11")]).errorCode.code == .invalidConfig)
  }

  @Test func `what is unchanged is not journaled`() {
    var driver = driverWithOrders()
    #expect(driver.alter(orders, [("retention.ms", .set, "5")]).errorCode == 0)
    let length = driver.journal.count
    #expect(driver.alter(orders, [("retention.ms", .set, "5"), ("segment.ms", .delete, nil)]).errorCode == 0)
    #expect(driver.journal.count == length)
  }

  @Test(arguments: [
    (ConfigResource.topic("nobody"), ErrorCode.unknownTopicOrPartition), (.topic(""), .invalidRequest),
    (.topic("a b"), .invalidTopicException), (ConfigResource(.broker, "2"), .invalidRequest),
    (ConfigResource(.broker, "one"), .invalidRequest), (ConfigResource(.brokerLogger, "1"), .invalidRequest),
    (ConfigResource(.group, ""), .invalidRequest), (ConfigResource(.clientMetrics, "m"), .invalidRequest),
  ])
  func `a resource that is not there or has no configs is refused`(resource: ConfigResource, code: ErrorCode) {
    var driver = driverWithOrders()
    let result = driver.alter(resource, [("retention.ms", .set, "5")])
    #expect(result.errorCode.code == code)
    #expect(result.errorMessage?.isEmpty == false)
  }

  @Test func `a resource named twice and a key named twice are refused`() {
    var driver = driverWithOrders()
    let change = IncrementalAlterConfigsRequest.AlterableConfig(name: "retention.ms", configOperation: 0, value: "5")
    let resource = IncrementalAlterConfigsRequest.AlterConfigsResource(
      resourceType: 2, resourceName: "orders", configs: [change])
    let twice = driver.perform(driver.catalog.decide(IncrementalAlterConfigsRequest(resources: [resource, resource])))
    #expect(twice.responses.map(\.errorCode.code) == [.invalidRequest, .invalidRequest])
    let keys = driver.alter(orders, [("retention.ms", .set, "5"), ("retention.ms", .set, "6")])
    #expect(keys.errorCode.code == .invalidRequest)
    #expect(driver.catalog.configs.isEmpty)
  }

  @Test func `an unknown operation and a value that is missing are refused`() {
    var driver = driverWithOrders()
    #expect(driver.alter(orders, [("retention.ms", .set, nil)]).errorCode.code == .invalidRequest)
    let change = IncrementalAlterConfigsRequest.AlterableConfig(name: "retention.ms", configOperation: 9, value: "5")
    let request = IncrementalAlterConfigsRequest(resources: [
      .init(resourceType: 2, resourceName: "orders", configs: [change])
    ])
    #expect(driver.perform(driver.catalog.decide(request)).responses[0].errorCode.code == .invalidRequest)
  }

  @Test func `a value longer than a record of the journal holds is refused`() {
    var driver = driverWithOrders()
    let long = (0..<12_000).map { "\($0):1" }.joined(separator: ",")
    let result = driver.alter(orders, [("leader.replication.throttled.replicas", .set, long)])
    #expect(result.errorCode.code == .invalidConfig)
  }

  @Test func `a broker default reaches every topic that does not say otherwise`() throws {
    var driver = driverWithOrders()
    driver.make("own")
    #expect(driver.alter(.topic("own"), [("retention.ms", .set, "5")]).errorCode == 0)
    #expect(driver.alter(cluster, [("log.retention.ms", .set, "7")]).errorCode == 0)
    func retention(_ name: String) throws -> Int64 {
      driver.catalog.configuration(of: try #require(driver.catalog.topic(named: name))).retentionMs
    }
    #expect(try retention("orders") == 7)
    #expect(try retention("own") == 5)
    #expect(driver.alter(broker, [("log.retention.ms", .set, "8")]).errorCode == 0)
    #expect(try retention("orders") == 8)
    #expect(driver.alter(broker, [("log.retention.ms", .delete, nil)]).errorCode == 0)
    #expect(try retention("orders") == 7)
    #expect(driver.replayed() == driver.catalog)
  }

  @Test(arguments: ["node.id", "listeners", "log.retention.hours", "no.such.key", "ssl.keystore.location"])
  func `a broker key that only a start can set is refused by name`(name: String) {
    var driver = CatalogDriver()
    let result = driver.alter(cluster, [(name, .set, "1")])
    #expect(result.errorCode.code == .invalidConfig)
    #expect(result.errorMessage?.contains(name) == true)
  }

  @Test func `an internal topic is always on disk before it is acknowledged`() throws {
    var driver = CatalogDriver(CatalogSettings(started: ["log.durability": "buffered"]))
    let decision = driver.catalog.decideInternalTopic(
      "__consumer_offsets", partitionCount: 1, overrides: ["cleanup.policy": "compact"], random: &driver.random)
    driver.perform(try #require(decision))
    driver.make("orders")
    let offsets = ConfigResource.topic("__consumer_offsets")
    #expect(driver.alter(offsets, [("durability", .set, "buffered")]).errorCode.code == .invalidConfig)
    let internalTopic = try #require(driver.catalog.topic(named: "__consumer_offsets"))
    #expect(driver.catalog.configuration(of: internalTopic).commitsToDisk)
    #expect(!driver.catalog.configuration(of: try #require(driver.catalog.topic(named: "orders"))).commitsToDisk)
  }
}
