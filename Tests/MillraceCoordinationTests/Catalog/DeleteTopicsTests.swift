import MillraceCoordination
import MillraceProtocol
import Testing

@Suite struct DeleteTopicsTests {
  @Test func `a topic goes with its configs, and its name is free again for another id`() throws {
    var driver = CatalogDriver()
    driver.make("orders", partitions: 2)
    let first = try #require(driver.catalog.topic(named: "orders"))
    #expect(driver.alter(.topic("orders"), [("retention.ms", .set, "5")]).errorCode == 0)
    let results = driver.delete("orders")
    #expect(results.map(\.errorCode) == [0])
    #expect(results.map(\.topicId) == [first.id])
    #expect(driver.catalog.topics.isEmpty && driver.catalog.configs.isEmpty)
    driver.make("orders")
    #expect(driver.catalog.topic(named: "orders")?.id != first.id)
    #expect(driver.catalog.topic(id: first.id) == nil)
  }

  @Test func `by id the answer names the topic, and an unknown one has its own code`() throws {
    var driver = CatalogDriver()
    driver.make("orders")
    let id = try #require(driver.catalog.topic(named: "orders")).id
    let unknown = Uuid(high: 7, low: 7)
    let request = DeleteTopicsRequest(topics: [.init(topicId: id), .init(topicId: unknown), .init(name: "nobody")])
    let results = driver.perform(driver.catalog.decide(request, version: 6)).responses
    #expect(results.map(\.errorCode.code) == [.none, .unknownTopicId, .unknownTopicOrPartition])
    #expect(results[0].name == "orders")
  }

  @Test func `a topic asked for by name and by id is not deleted`() throws {
    var driver = CatalogDriver()
    driver.make("orders")
    let id = try #require(driver.catalog.topic(named: "orders")).id
    let request = DeleteTopicsRequest(topics: [.init(topicId: id), .init(name: "orders")])
    let results = driver.perform(driver.catalog.decide(request, version: 6)).responses
    #expect(results.map(\.errorCode.code) == [.invalidRequest, .invalidRequest])
    #expect(driver.catalog.topic(named: "orders") != nil)
  }

  @Test func `neither name nor id, and both, are not a topic`() {
    var driver = CatalogDriver()
    driver.make("orders")
    let request = DeleteTopicsRequest(topics: [.init(), .init(name: "orders", topicId: Uuid(high: 1, low: 1))])
    let results = driver.perform(driver.catalog.decide(request, version: 6)).responses
    #expect(results.map(\.errorCode.code) == [.invalidRequest, .invalidRequest])
  }

  @Test func `with deletion disabled the code depends on what the client knows`() {
    var driver = CatalogDriver(CatalogSettings(isTopicDeletionEnabled: false))
    driver.make("orders")
    let old = DeleteTopicsRequest(topicNames: ["orders"])
    #expect(driver.perform(driver.catalog.decide(old, version: 2)).responses.map(\.errorCode.code) == [.invalidRequest])
    #expect(driver.delete("orders").map(\.errorCode.code) == [.topicDeletionDisabled])
    #expect(driver.catalog.topic(named: "orders") != nil)
  }

  @Test func `an internal topic stays`() throws {
    var driver = CatalogDriver()
    let decision = driver.catalog.decideInternalTopic(
      "__consumer_offsets", partitionCount: 2, overrides: [:], random: &driver.random)
    driver.perform(try #require(decision))
    #expect(driver.delete("__consumer_offsets").map(\.errorCode.code) == [.invalidRequest])
    #expect(driver.catalog.topic(named: "__consumer_offsets")?.partitionCount == 2)
    let again = driver.catalog.decideInternalTopic(
      "__consumer_offsets", partitionCount: 2, overrides: [:], random: &driver.random)
    #expect(again == nil)
  }
}

@Suite struct CreatePartitionsTests {
  private func grow(
    _ driver: inout CatalogDriver, _ name: String, to count: Int32, assignments: [[Int32]]? = nil,
    validateOnly: Bool = false
  ) -> ErrorCode {
    let topic = CreatePartitionsRequest.CreatePartitionsTopic(
      name: name, count: count, assignments: assignments?.map { .init(brokerIds: $0) })
    let request = CreatePartitionsRequest(topics: [topic], validateOnly: validateOnly)
    return driver.perform(driver.catalog.decide(request)).results[0].errorCode.code
  }

  @Test func `a topic grows by the partitions that are missing`() {
    var driver = CatalogDriver()
    driver.make("orders", partitions: 2)
    #expect(grow(&driver, "orders", to: 5) == .none)
    #expect(driver.catalog.topic(named: "orders")?.partitionCount == 5)
    #expect(driver.replayed() == driver.catalog)
  }

  @Test func `it does not shrink and does not stay`() {
    var driver = CatalogDriver()
    driver.make("orders", partitions: 2)
    #expect(grow(&driver, "orders", to: 2) == .invalidPartitions)
    #expect(grow(&driver, "orders", to: 1) == .invalidPartitions)
    #expect(grow(&driver, "orders", to: -7) == .invalidPartitions)
    #expect(grow(&driver, "nobody", to: 3) == .unknownTopicOrPartition)
  }

  @Test func `assignments have to fit in number and in brokers`() {
    var driver = CatalogDriver()
    driver.make("orders")
    #expect(grow(&driver, "orders", to: 3, assignments: [[1]]) == .invalidReplicaAssignment)
    #expect(grow(&driver, "orders", to: 2, assignments: [[2]]) == .invalidReplicaAssignment)
    #expect(grow(&driver, "orders", to: 2, assignments: [[1, 2]]) == .invalidReplicaAssignment)
    #expect(grow(&driver, "orders", to: 2, assignments: [[1]]) == .none)
  }

  @Test func `validate only changes nothing, too many at once are refused`() {
    var driver = CatalogDriver()
    driver.make("orders")
    #expect(grow(&driver, "orders", to: 3, validateOnly: true) == .none)
    #expect(driver.catalog.topic(named: "orders")?.partitionCount == 1)
    #expect(grow(&driver, "orders", to: 10_002) == .policyViolation)
    #expect(grow(&driver, "orders", to: Int32.max) == .policyViolation)
  }
}
