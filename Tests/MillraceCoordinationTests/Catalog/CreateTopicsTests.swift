import MillraceCoordination
import MillraceProtocol
import Testing

@Suite struct CreateTopicsTests {
  typealias Topic = CreateTopicsRequest.CreatableTopic

  @Test func `a topic gets its partitions, an id and the broker as its only replica`() throws {
    var driver = CatalogDriver()
    let results = driver.create(Topic(name: "orders", numPartitions: 3, replicationFactor: 1))
    let result = try #require(results.first)
    #expect(result.errorCode == 0)
    #expect(result.numPartitions == 3)
    #expect(result.replicationFactor == 1)
    let topic = try #require(driver.catalog.topic(named: "orders"))
    #expect(topic.id == result.topicId && topic.id != .zero)
    #expect(topic.partitionCount == 3)
    #expect(driver.catalog.topic(id: topic.id) == topic)
    #expect(driver.journal.count == 4)
  }

  @Test func `minus one takes the broker's defaults`() {
    var driver = CatalogDriver(CatalogSettings(defaultPartitionCount: 5))
    let results = driver.create(Topic(name: "orders", numPartitions: -1, replicationFactor: -1))
    #expect(results.map(\.errorCode) == [0])
    #expect(results.map(\.numPartitions) == [5])
    #expect(results.map(\.replicationFactor) == [1])
  }

  @Test(arguments: [
    ("", "cannot be empty"), (".", "'.' or '..'"), ("..", "'.' or '..'"), (String(repeating: "a", count: 250), "249"),
    ("orders placed", "character"), ("orders/placed", "character"), ("bestellungen-größe", "character"),
  ])
  func `a name that Kafka refuses is refused with a sentence that says why`(name: String, part: String) {
    var driver = CatalogDriver()
    let results = driver.create(Topic(name: name, numPartitions: 1, replicationFactor: 1))
    #expect(results.map(\.errorCode.code) == [.invalidTopicException])
    #expect(results[0].errorMessage?.contains(part) == true, "\(results[0].errorMessage ?? "")")
    #expect(driver.journal.isEmpty)
  }

  @Test func `names of 249 characters are fine`() {
    var driver = CatalogDriver()
    driver.make(String(repeating: "a", count: 249))
  }

  @Test func `names that differ in dot and underscore collide, also within one request`() {
    var driver = CatalogDriver()
    driver.make("a.b")
    let results = driver.create(
      Topic(name: "a_b", numPartitions: 1, replicationFactor: 1),
      Topic(name: "c_d", numPartitions: 1, replicationFactor: 1),
      Topic(name: "c.d", numPartitions: 1, replicationFactor: 1))
    #expect(results.map(\.errorCode.code) == [.invalidTopicException, .none, .invalidTopicException])
    #expect(results[0].errorMessage?.contains("'a.b'") == true)
    _ = driver.delete("a.b")
    driver.make("a_b")
  }

  @Test func `an existing topic is not made again`() {
    var driver = CatalogDriver()
    driver.make("orders")
    let before = driver.catalog
    let results = driver.create(Topic(name: "orders", numPartitions: 9, replicationFactor: 1))
    #expect(results.map(\.errorCode.code) == [.topicAlreadyExists])
    #expect(driver.catalog == before)
  }

  @Test func `more than one replica is refused with the reason`() {
    var driver = CatalogDriver()
    let results = driver.create(Topic(name: "orders", numPartitions: 1, replicationFactor: 3))
    #expect(results.map(\.errorCode.code) == [.invalidReplicationFactor])
    #expect(results[0].errorMessage?.contains("one broker") == true)
  }

  @Test func `counts that make no sense are refused`() {
    var driver = CatalogDriver()
    let results = driver.create(
      Topic(name: "a", numPartitions: 0, replicationFactor: 1),
      Topic(name: "b", numPartitions: -2, replicationFactor: 1),
      Topic(name: "c", numPartitions: 1, replicationFactor: 0),
      Topic(name: "d", numPartitions: 1, replicationFactor: -2))
    let codes = results.map(\.errorCode.code)
    #expect(codes == [.invalidPartitions, .invalidPartitions, .invalidReplicationFactor, .invalidReplicationFactor])
  }

  @Test func `a manual assignment to this broker says how many partitions there are`() {
    var driver = CatalogDriver()
    let results = driver.create(
      Topic(
        name: "orders", numPartitions: -1, replicationFactor: -1,
        assignments: [.init(partitionIndex: 1, brokerIds: [1]), .init(partitionIndex: 0, brokerIds: [1])]))
    #expect(results.map(\.errorCode) == [0])
    #expect(results[0].numPartitions == 2)
  }

  @Test(
    arguments: [
      ([(0, [2])], ErrorCode.invalidReplicaAssignment), ([(0, [1, 1])], .invalidReplicaAssignment),
      ([(0, [])], .invalidReplicaAssignment), ([(1, [1])], .invalidReplicaAssignment),
      ([(0, [1]), (2, [1])], .invalidReplicaAssignment), ([(0, [1]), (0, [1])], .invalidReplicaAssignment),
      ([(-1, [1])], .invalidReplicaAssignment),
    ] as [([(Int32, [Int32])], ErrorCode)])
  func `an assignment that this cluster cannot give is refused`(assignment: [(Int32, [Int32])], code: ErrorCode) {
    var driver = CatalogDriver()
    let results = driver.create(
      Topic(
        name: "orders", numPartitions: -1, replicationFactor: -1,
        assignments: assignment.map { .init(partitionIndex: $0.0, brokerIds: $0.1) }))
    #expect(results.map(\.errorCode.code) == [code])
  }

  @Test func `an assignment and a count contradict each other`() {
    var driver = CatalogDriver()
    let assignment = [CreateTopicsRequest.CreatableReplicaAssignment(partitionIndex: 0, brokerIds: [1])]
    let results = driver.create(
      Topic(name: "a", numPartitions: 1, replicationFactor: -1, assignments: assignment),
      Topic(name: "b", numPartitions: -1, replicationFactor: 1, assignments: assignment))
    #expect(results.map(\.errorCode.code) == [.invalidRequest, .invalidRequest])
  }

  @Test func `a topic named twice is answered once and not made`() {
    var driver = CatalogDriver()
    let twice = Topic(name: "orders", numPartitions: 1, replicationFactor: 1)
    let results = driver.create(twice, Topic(name: "other", numPartitions: 1, replicationFactor: 1), twice)
    #expect(results.map(\.name) == ["orders", "other"])
    #expect(results.map(\.errorCode.code) == [.invalidRequest, .none])
    #expect(driver.catalog.topic(named: "orders") == nil)
  }

  @Test func `validate only answers as if and does nothing`() {
    var driver = CatalogDriver()
    let results = driver.create(
      Topic(name: "orders", numPartitions: 3, replicationFactor: 1),
      Topic(name: "a b", numPartitions: 1, replicationFactor: 1), validateOnly: true)
    #expect(results.map(\.errorCode.code) == [.none, .invalidTopicException])
    #expect(results[0].numPartitions == 3)
    #expect(driver.journal.isEmpty && driver.catalog.topics.isEmpty)
  }

  @Test func `configs are checked, kept, and answered with their sources`() throws {
    var driver = CatalogDriver(CatalogSettings(started: ["log.segment.bytes": "2000000"]))
    let results = driver.create(
      Topic(
        name: "orders", numPartitions: 1, replicationFactor: 1,
        configs: [.init(name: "cleanup.policy", value: "compact")]))
    #expect(results.map(\.errorCode) == [0])
    let configs = try #require(results[0].configs)
    func source(_ name: String) -> Int8? { configs.first { $0.name == name }?.configSource }
    #expect(source("cleanup.policy") == ConfigSource.topic.rawValue)
    #expect(source("segment.bytes") == ConfigSource.staticBroker.rawValue)
    #expect(source("retention.ms") == ConfigSource.default.rawValue)
    let topic = try #require(driver.catalog.topic(named: "orders"))
    #expect(driver.catalog.configuration(of: topic).isCompacted)
    #expect(driver.catalog.configuration(of: topic).segmentBytes == 2_000_000)
  }

  @Test(arguments: [("no.such.key", "1"), ("retention.ms", "soon"), ("retention.ms", nil)])
  func `a config that is unknown, wrong or empty refuses the topic`(name: String, value: String?) {
    var driver = CatalogDriver()
    let results = driver.create(
      Topic(name: "orders", numPartitions: 1, replicationFactor: 1, configs: [.init(name: name, value: value)]))
    #expect(results.map(\.errorCode.code) == [.invalidConfig])
    #expect(results[0].errorMessage?.contains(name) == true)
    #expect(driver.journal.isEmpty)
  }

  @Test func `the metadata log cannot be a topic`() {
    var driver = CatalogDriver()
    let results = driver.create(Topic(name: "__cluster_metadata", numPartitions: 1, replicationFactor: 1))
    #expect(results.map(\.errorCode.code) == [.invalidRequest])
  }

  @Test func `a request for more partitions than one batch holds is refused whole`() {
    var driver = CatalogDriver()
    let results = driver.create(
      Topic(name: "a", numPartitions: 6000, replicationFactor: 1),
      Topic(name: "b", numPartitions: 4001, replicationFactor: 1))
    #expect(results.map(\.errorCode.code) == [.policyViolation, .policyViolation])
    #expect(driver.journal.isEmpty)
  }
}
