// Every call of the admin client against a real broker: once with success, once with an error.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceClient

@Suite(.everyTransport) struct AdminBrokerTests {
  private let t0 = TopicPartition("t", 0)

  private func run(_ body: (TestCluster, Admin) async throws -> Void) async throws {
    try await TestCluster.run { cluster in
      let admin = try await Admin(cluster.client)
      try await body(cluster, admin)
      await admin.close()
    }
  }

  private func error<Key, Value>(_ results: [Key: Result<Value, KafkaError>], _ key: Key) -> ErrorCode? {
    guard case .failure(let error)? = results[key] else { return nil }
    return error.brokerCode
  }

  // MARK: Topics

  @Test func `topics are created, unless they are there or cannot be`() async throws {
    try await run { _, admin in
      let dry = try await admin.createTopics([NewTopic("t", partitions: 3)], validateOnly: true)
      #expect(try dry["t"]?.get().partitions == 3)
      #expect(try await admin.listTopics().isEmpty)
      let made = try await admin.createTopics([
        NewTopic("t", partitions: 3, configs: ["retention.ms": "1000"]), NewTopic("not/valid"),
        NewTopic("wrong", configs: ["retention.ms": "often"]), NewTopic("none", partitions: 0),
        NewTopic("many", replicationFactor: 9),
      ])
      let created = try #require(made["t"]).get()
      #expect(created.partitions == 3)
      #expect(created.configs["retention.ms"] == "1000")
      #expect(created.topicId != .zero)
      #expect(error(made, "not/valid") == .invalidTopicException)
      #expect(error(made, "wrong") == .invalidConfig)
      #expect(error(made, "none") == .invalidPartitions)
      #expect(error(made, "many") == .invalidReplicationFactor)
      #expect(error(try await admin.createTopics([NewTopic("t")]), "t") == .topicAlreadyExists)
      #expect(try await admin.listTopics().map(\.topicId) == [created.topicId])
    }
  }

  @Test func `topics are described and deleted, unless they are not there`() async throws {
    try await run { cluster, admin in
      try await cluster.create("t", partitions: 2)
      let described = try await admin.describeTopics(["t", "missing"])
      let topic = try #require(described["t"]).get()
      #expect(topic.partitions.map(\.index) == [0, 1])
      #expect(topic.partitions.allSatisfy { $0.leader != nil && $0.replicas == $0.inSyncReplicas })
      #expect(error(described, "missing") == .unknownTopicOrPartition)
      let deleted = try await admin.deleteTopics(["t", "missing"])
      #expect(throws: Never.self) { try deleted["t"]?.get() }
      #expect(error(deleted, "missing") == .unknownTopicOrPartition)
      #expect(try await admin.listTopics().isEmpty)
    }
  }

  @Test func `the cluster's own topics are listed when they are asked for`() async throws {
    try await run { cluster, admin in
      try await cluster.create("t")
      _ = try await admin.alterGroupOffsets("g", [t0: OffsetAndMetadata(offset: 1)])
      #expect(try await admin.listTopics().map(\.name) == ["t"])
      let all = try await admin.listTopics(includeInternal: true)
      #expect(all.contains { $0.name == "__consumer_offsets" && $0.isInternal })
    }
  }

  @Test func `partitions are added, but not taken away`() async throws {
    try await run { cluster, admin in
      try await cluster.create("t", partitions: 2)
      let dry = try await admin.createPartitions(["t": 5], validateOnly: true)
      #expect(throws: Never.self) { try dry["t"]?.get() }
      #expect(try await admin.describeTopics(["t"])["t"]?.get().partitions.count == 2)
      let added = try await admin.createPartitions(["t": 5, "missing": 5])
      #expect(throws: Never.self) { try added["t"]?.get() }
      #expect(error(added, "missing") == .unknownTopicOrPartition)
      #expect(try await admin.describeTopics(["t"])["t"]?.get().partitions.count == 5)
      #expect(error(try await admin.createPartitions(["t": 1]), "t") == .invalidPartitions)
    }
  }

  // MARK: Configs

  @Test func `configs are altered and described, unless they are wrong`() async throws {
    try await run { cluster, admin in
      try await cluster.create("t")
      let broker = ConfigResource.broker(try #require(try await admin.describeCluster().brokers.first).id)
      let dry = try await admin.alterConfigs([.topic("t"): [.set("retention.ms", "5")]], validateOnly: true)
      #expect(throws: Never.self) { try dry[.topic("t")]?.get() }
      let altered = try await admin.alterConfigs([
        .topic("t"): [.set("retention.ms", "1000"), .append("cleanup.policy", "compact")],
        .topic("missing"): [.set("retention.ms", "1000")], broker: [.set("no.such.config", "1")],
      ])
      #expect(throws: Never.self) { try altered[.topic("t")]?.get() }
      #expect(error(altered, .topic("missing")) == .unknownTopicOrPartition)
      #expect(error(altered, broker) != nil)
      let described = try await admin.describeConfigs(
        [.topic("t"), broker, .topic("missing")], includeSynonyms: true, includeDocumentation: true)
      let entries = try #require(described[.topic("t")]).get()
      let retention = try #require(entries.first { $0.name == "retention.ms" })
      #expect(retention.value == "1000")
      #expect(retention.source == .dynamicTopicConfig)
      #expect(retention.documentation?.isEmpty == false)
      #expect(retention.synonyms.first?.value == "1000")
      #expect(entries.first { $0.name == "cleanup.policy" }?.value == "delete,compact")
      #expect(try described[broker]?.get().contains { $0.name == "log.dirs" } == true)
      #expect(error(described, .topic("missing")) == .unknownTopicOrPartition)
      _ = try await admin.alterConfigs([
        .topic("t"): [.delete("retention.ms"), .subtract("cleanup.policy", "compact")]
      ])
      let reset = try #require(try await admin.describeConfigs([.topic("t")])[.topic("t")]).get()
      #expect(reset.first { $0.name == "retention.ms" }?.isDefault == true)
      #expect(reset.first { $0.name == "cleanup.policy" }?.value == "delete")
    }
  }

  @Test func `what has configs is listed`() async throws {
    try await run { cluster, admin in
      try await cluster.create("t")
      #expect(try await admin.listConfigResources([.topic]) == [.topic("t")])
      #expect(try await admin.listConfigResources([.broker]).count >= 1)
    }
  }

  // MARK: Offsets and records

  @Test func `offsets are looked up, and records deleted, in partitions that are there`() async throws {
    try await run { cluster, admin in
      // Their times are long past.
      try await cluster.create("t", configs: ["retention.ms": "-1"])
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      for number in Int64(0)..<10 {
        _ = try await producer.send(ProducerRecord(topic: "t", value: "v", timestamp: 1000 + (number + 5) % 10))
      }
      await producer.close()
      let queries: [(OffsetQuery, Int64, Int64)] = [
        (.earliest, 0, -1), (.latest, 10, -1), (.timestamp(1007), 2, 1007), (.maxTimestamp, 4, 1009),
        (.timestamp(2000), -1, -1),
      ]
      for (query, offset, timestamp) in queries {
        let info = try #require(try await admin.listOffsets([t0: query])[t0]).get()
        #expect(info.offset == offset, "\(query)")
        #expect(info.timestamp == timestamp, "\(query)")
      }
      let missing = TopicPartition("t", 9)
      let wrong = try await admin.listOffsets([missing: .latest])
      #expect(throws: KafkaError.self) { try wrong[missing]?.get() }

      let deleted = try await admin.deleteRecords(before: [t0: 4])
      #expect(try deleted[t0]?.get() == 4)
      #expect(try await admin.listOffsets([t0: .earliest])[t0]?.get().offset == 4)
      #expect(error(try await admin.deleteRecords(before: [t0: 99]), t0) == .offsetOutOfRange)
      #expect(try await admin.deleteRecords(before: [t0: -1])[t0]?.get() == 10)
    }
  }

  // MARK: The cluster

  @Test func `the cluster is described`() async throws {
    try await run { cluster, admin in
      let description = try await admin.describeCluster()
      #expect(description.clusterId?.isEmpty == false)
      #expect(description.brokers.map(\.port) == [Int32(cluster.line.address.port)])
      #expect(description.controllerId == description.brokers.first?.id)
      let versions = try await admin.apiVersions()
      let broker = try #require(versions.keys.first)
      let apis = try #require(versions[broker]).get().apis
      #expect(apis.contains { $0.key == .produce })
    }
  }

  @Test func `data directories are described, of brokers that are there`() async throws {
    try await run { cluster, admin in
      try await cluster.create("t")
      try await cluster.fill("t", 10)
      let id = try #require(try await admin.describeCluster().brokers.first).id
      let described = try await admin.describeLogDirs(topics: ["t"])
      let directories = try #require(described[id]).get()
      #expect(directories.count == 1)
      #expect(directories[0].replicas[t0].map { $0.sizeInBytes > 0 } == true)
      #expect(directories[0].error == nil)
    }
  }

  @Test func `without a broker calls fail when their time is up`() async throws {
    try await TestCluster.run { cluster in
      var configuration = cluster.client
      configuration.operationTimeout = .milliseconds(300)
      configuration.connectTimeout = .milliseconds(300)
      let admin = try await Admin(configuration)
      await cluster.stop()
      let error = await #expect(throws: KafkaError.self) { try await admin.listTopics() }
      #expect(error?.isRetriable == true)
      await #expect(throws: KafkaError.self) { try await admin.describeCluster() }
      let groups = try await admin.describeGroups(["g"])
      #expect(throws: KafkaError.self) { try groups["g"]?.get() }
      await admin.close()
      let closed = await #expect(throws: KafkaError.self) { try await admin.listTopics() }
      #expect(closed?.code == .closed)
    }
  }

  // MARK: Groups

  @Test func `groups are listed and described, with their members`() async throws {
    try await run { cluster, admin in
      try await cluster.create("t", partitions: 2)
      var configuration = ConsumerConfiguration(cluster.client, groupId: "g")
      configuration.client.clientId = "the client"
      let member = try await Consumer(configuration)
      try await member.subscribe(to: ["t"])
      let reading = Task { try await readAll(member) }
      #expect(try await eventually { member.assignment.count == 2 })
      let listed = try await admin.listGroups()
      #expect(listed.map(\.groupId) == ["g"])
      #expect(listed.first?.state == "Stable")
      #expect(listed.first?.protocolType == "consumer")
      #expect(try await admin.listGroups(states: ["Empty"]).isEmpty)
      #expect(try await admin.listGroups(states: ["Stable"], types: ["classic"]).count == 1)

      let described = try await admin.describeGroups(["g", "missing"])
      let group = try #require(described["g"]).get()
      #expect(group.state == "Stable")
      #expect(group.assignor == "range")
      #expect(group.members.map(\.clientId) == ["the client"])
      #expect(group.members.first?.assignment == [t0, TopicPartition("t", 1)])
      #expect(throws: KafkaError.self) { try described["missing"]?.get() }

      #expect(error(try await admin.deleteGroups(["g"]), "g") == .nonEmptyGroup)
      let refused = try await admin.alterGroupOffsets("g", [t0: OffsetAndMetadata(offset: 0)])
      #expect(error(refused, t0) == .unknownMemberId)
      let subscribed = try await admin.deleteGroupOffsets("g", [t0])
      #expect(error(subscribed, t0) == .groupSubscribedToTopic)
      await member.close()
      try await reading.value
      #expect(try await admin.describeGroups(["g"])["g"]?.get().state == "Empty")
      let deleted = try await admin.deleteGroups(["g", "missing"])
      #expect(throws: Never.self) { try deleted["g"]?.get() }
      #expect(error(deleted, "missing") == .groupIdNotFound)
      #expect(try await admin.listGroups().isEmpty)
    }
  }

  @Test func `offsets of a group without members are set, read and deleted`() async throws {
    try await run { cluster, admin in
      try await cluster.create("t", partitions: 2)
      let t1 = TopicPartition("t", 1)
      let set = try await admin.alterGroupOffsets(
        "g", [t0: OffsetAndMetadata(offset: 7, metadata: "seven"), t1: OffsetAndMetadata(offset: 8)])
      #expect(throws: Never.self) { try set[t0]?.get() }
      let offsets = try await admin.groupOffsets("g")
      #expect(offsets[t0]?.offset == 7)
      #expect(offsets[t0]?.metadata == "seven")
      #expect(offsets[t1]?.offset == 8)
      #expect(try await admin.groupOffsets("g", partitions: [t1]).keys.map { $0 } == [t1])
      #expect(try await admin.groupOffsets("missing").isEmpty)
      let missing = TopicPartition("missing", 0)
      let wrong = try await admin.alterGroupOffsets("g", [missing: OffsetAndMetadata(offset: 1)])
      #expect(error(wrong, missing) == .unknownTopicOrPartition)
      let deleted = try await admin.deleteGroupOffsets("g", [t0])
      #expect(throws: Never.self) { try deleted[t0]?.get() }
      #expect(try await admin.groupOffsets("g").keys.map { $0 } == [t1])
      await #expect(throws: KafkaError.self) { try await admin.deleteGroupOffsets("missing", [t0]) }
    }
  }
}
