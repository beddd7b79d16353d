import MillraceCoordination
import MillraceProtocol
import Testing

@testable import MillraceBroker

@Suite struct `Share group state over the wire` {
  private func start(_ settings: [String: String] = [:]) async throws -> ShareStateClient {
    let broker = try GroupBroker(
      settings.merging(["share.coordinator.state.topic.num.partitions": "3"]) { given, _ in given })
    return ShareStateClient(broker: broker, topicId: try await broker.makeTopic("orders").id)
  }

  @Test func `a state is initialized, written, read, summed up and deleted`() async throws {
    let client = try await start()
    #expect(try await client.initialize() == .none)
    var answer = try await client.read()
    #expect(answer.stateEpoch == 1 && answer.startOffset == -1 && answer.stateBatches.isEmpty)
    #expect(try await client.summary().startOffset == -1)

    var delayed = ShareStateBatch.range(4, 4, .available, 2)
    delayed.notBeforeMs = 1_234_567
    let written: [ShareStateBatch] = [.range(2, 3, .acknowledged, 1), delayed]
    #expect(try await client.write(written, startOffset: 2) == .none)
    answer = try await client.read()
    #expect(answer.startOffset == 2)
    #expect(try await client.batches() == written)
    let summary = try await client.summary()
    #expect(summary.startOffset == 2 && summary.deliveryCompleteCount == 3 && summary.stateEpoch == 1)

    #expect(try await client.delete() == .none)
    #expect(try await client.delete() == .none)
    #expect(try await client.read().errorCode.code == .invalidRequest)
    #expect(try await client.summary().startOffset == -1)
    client.broker.stop()
  }

  @Test func `who is behind in its epochs is fenced`() async throws {
    let client = try await start()
    #expect(try await client.initialize(epoch: 4) == .none)
    #expect(try await client.read(leaderEpoch: 7).errorCode.code == .none)
    #expect(try await client.read(leaderEpoch: 6).errorCode.code == .fencedLeaderEpoch)
    let batches: [ShareStateBatch] = [.range(0, 0, .acknowledged, 1)]
    #expect(try await client.write(batches, epoch: 4, leaderEpoch: 6) == .fencedLeaderEpoch)
    #expect(try await client.write(batches, epoch: 3, leaderEpoch: 7) == .fencedStateEpoch)
    #expect(try await client.write(batches, epoch: 4, leaderEpoch: 7) == .none)
    #expect(try await client.initialize(epoch: 3) == .fencedStateEpoch)
    client.broker.stop()
  }

  @Test func `what does not exist is refused, and what says nothing is answered with nothing`() async throws {
    var client = try await start()
    #expect(try await client.write([]) == .invalidRequest)
    client.partition = 2
    #expect(try await client.initialize() == .unknownTopicOrPartition)
    #expect(try await client.delete() == .unknownTopicOrPartition)
    #expect(try await client.summary().errorCode.code == .unknownTopicOrPartition)
    client.partition = -1
    #expect(try await client.initialize() == .invalidRequest)
    let unknown = ShareStateClient(broker: client.broker, topicId: .random())
    #expect(try await unknown.initialize() == .unknownTopicOrPartition)

    client.partition = 0
    #expect(try await client.initialize() == .none)
    #expect(try await client.write([.range(3, 2, .acknowledged, 1)]) == .invalidRequest)
    var acquired = client.writeRequest([.range(0, 1, .available, 1)])
    acquired.topics[0].partitions[0].stateBatches[0].deliveryState = 1
    #expect(try await client.broker.send(acquired).results[0].partitions[0].errorCode.code == .invalidRequest)
    client.groupId = ""
    #expect(try await client.broker.send(client.writeRequest([])).results.isEmpty)
    #expect(try await client.broker.send(ReadShareGroupStateRequest(groupId: "g")).results.isEmpty)
    client.broker.stop()
  }

  @Test func `several partitions are answered in their order`() async throws {
    let client = try await start()
    let request = InitializeShareGroupStateRequest(
      groupId: "g",
      topics: [
        .init(
          topicId: client.topicId,
          partitions: [.init(partition: 1, stateEpoch: 1, startOffset: 5), .init(partition: 9, stateEpoch: 1)]),
        .init(topicId: .zero, partitions: [.init(partition: 0)]),
        .init(topicId: client.topicId, partitions: [.init(partition: 0, stateEpoch: 1, startOffset: -2)]),
      ])
    let results = try await client.broker.send(request).results
    #expect(results.map(\.topicId) == [client.topicId, .zero, client.topicId])
    #expect(
      results.map { $0.partitions.map(\.errorCode.code) }
        == [[.none, .unknownTopicOrPartition], [.unknownTopicOrPartition], [.invalidRequest]])
    #expect(results[0].partitions[1].errorMessage != nil)
    client.broker.stop()
  }

  @Test func `the coordinator of a share-partition is found, and its topic made`() async throws {
    let client = try await start()
    func find(_ key: String, version: Int16 = 6) async throws -> FindCoordinatorResponse.Coordinator {
      try await client.broker.send(FindCoordinatorRequest(keyType: 2, coordinatorKeys: [key]), version: version)
        .coordinators[0]
    }
    #expect(try await find(client.key.coordinatorKey, version: 5).errorCode.code == .invalidRequest)
    let found = try await find(client.key.coordinatorKey)
    #expect(found.errorCode.code == .none && found.host == "localhost")
    for malformed in ["", "g", "g:x:0", "g:\(client.topicId):zero", " :\(client.topicId):0", "a:b:\(client.topicId):0"]
    {
      #expect(try await find(malformed).errorCode.code == .invalidRequest)
    }
    let topic = try #require(client.broker.broker.topics.topic(named: "__share_group_state"))
    #expect(topic.partitions.count == 3 && topic.isInternal)
    let configs = try await client.broker.send(
      DescribeConfigsRequest(resources: [.init(resourceType: 2, resourceName: topic.name, configurationKeys: nil)]))
    let values = Dictionary(uniqueKeysWithValues: configs.results[0].configs.map { ($0.name, $0.value) })
    #expect(values["cleanup.policy"] == "delete")
    #expect(values["retention.ms"] == "-1")
    client.broker.stop()
  }
}
