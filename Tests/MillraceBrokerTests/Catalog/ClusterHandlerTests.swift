import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Testing

@testable import MillraceBroker

@Suite struct `The cluster over the wire` {
  @Test func `the metadata version is announced and can be moved`() async throws {
    let broker = try TestBroker()
    let before = try await broker.send(ApiVersionsRequest(clientSoftwareName: "t", clientSoftwareVersion: "1"))
    #expect(
      before.supportedFeatures.map(\.name) == [
        "group.version", "metadata.version", "share.version", "transaction.version",
      ])
    #expect(before.supportedFeatures.map(\.minVersion) == [0, 7, 0, 0])
    #expect(before.finalizedFeatures.map(\.maxVersionLevel) == [1, 29, 1, 2])
    let update = UpdateFeaturesRequest(featureUpdates: [
      .init(feature: "metadata.version", maxVersionLevel: 27, upgradeType: 2)
    ])
    #expect(try await broker.send(update).errorCode == 0)
    let after = try await broker.send(ApiVersionsRequest(clientSoftwareName: "t", clientSoftwareVersion: "1"))
    #expect(after.finalizedFeatures.map(\.maxVersionLevel) == [1, 27, 1, 2])
    #expect(after.finalizedFeaturesEpoch > before.finalizedFeaturesEpoch)
    broker.stop()
    let again = try TestBroker(in: broker.directory)
    let restarted = try await again.send(ApiVersionsRequest(clientSoftwareName: "t", clientSoftwareVersion: "1"))
    #expect(restarted.finalizedFeatures.map(\.maxVersionLevel) == [1, 27, 1, 2])
    again.stop()
  }

  @Test func `the quorum is this broker with the journal's real offsets`() async throws {
    let broker = try TestBroker()
    func offsets() async throws -> DescribeQuorumResponse.PartitionData {
      let request = DescribeQuorumRequest(topics: [
        .init(topicName: "__cluster_metadata", partitions: [.init(partitionIndex: 0)])
      ])
      return try #require(try await broker.send(request).topics.first?.partitions.first)
    }
    let before = try await offsets()
    #expect(before.leaderId == 1)
    #expect(before.currentVoters.map(\.replicaId) == [1])
    try await broker.create("orders", partitions: 3)
    let after = try await offsets()
    #expect(after.highWatermark == before.highWatermark + 4)
    #expect(after.currentVoters.map(\.logEndOffset) == [after.highWatermark])
    let other = try await broker.send(
      DescribeQuorumRequest(topics: [.init(topicName: "orders", partitions: [.init(partitionIndex: 0)])]))
    #expect(other.topics.first?.partitions.map(\.errorCode.code) == [.unknownTopicOrPartition])
    broker.stop()
  }

  @Test func `the cluster is described to brokers' clients only`() async throws {
    let broker = try TestBroker()
    let response = try await broker.send(DescribeClusterRequest(includeClusterAuthorizedOperations: true))
    #expect(response.brokers.map(\.brokerId) == [1])
    #expect(response.controllerId == 1)
    #expect(response.clusterId == broker.broker.store.clusterId)
    #expect(response.clusterAuthorizedOperations == AuthorizedOperations.cluster)
    let controllers = try await broker.send(DescribeClusterRequest(endpointType: 2))
    #expect(controllers.errorCode.code == .mismatchedEndpointType)
    #expect(try await broker.send(DescribeClusterRequest(endpointType: 3)).errorCode.code == .unsupportedEndpointType)
    broker.stop()
  }

  @Test func `elections are never needed`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    let request = ElectLeadersRequest(topicPartitions: [.init(topic: "orders", partitions: [0, 1])])
    let response = try await broker.send(request)
    let codes = response.replicaElectionResults.first?.partitionResult.map(\.errorCode.code)
    #expect(codes == [.electionNotNeeded, .unknownTopicOrPartition])
    #expect(try await broker.send(ElectLeadersRequest(topicPartitions: nil)).replicaElectionResults.isEmpty)
    let odd = ElectLeadersRequest(electionType: 5, topicPartitions: nil)
    #expect(try await broker.send(odd).errorCode.code == .invalidRequest)
    broker.stop()
  }

  @Test func `a reassignment to where the partition is already is granted, any other refused`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders", partitions: 4)
    let partitions: [AlterPartitionReassignmentsRequest.ReassignablePartition] = [
      .init(partitionIndex: 0, replicas: [1]), .init(partitionIndex: 1, replicas: nil),
      .init(partitionIndex: 2, replicas: [1, 2]), .init(partitionIndex: 9, replicas: [1]),
    ]
    let response = try await broker.send(
      AlterPartitionReassignmentsRequest(topics: [.init(name: "orders", partitions: partitions)]))
    #expect(
      response.responses.first?.partitions.map(\.errorCode.code) == [
        .none, .noReassignmentInProgress, .invalidReplicaAssignment, .unknownTopicOrPartition,
      ])
    #expect(try await broker.send(ListPartitionReassignmentsRequest(topics: nil)).topics.isEmpty)
    broker.stop()
  }

  @Test func `a partition stays in its data directory`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    func move(to path: String) async throws -> [ErrorCode] {
      let request = AlterReplicaLogDirsRequest(dirs: [
        .init(path: path, topics: [.init(name: "orders", partitions: [0, 5])])
      ])
      return try #require(try await broker.send(request).results.first).partitions.map(\.errorCode.code)
    }
    #expect(try await move(to: broker.directory.path) == [.none, .unknownTopicOrPartition])
    #expect(try await move(to: "/nowhere") == [.logDirNotFound, .logDirNotFound])
    broker.stop()
  }

  @Test func `producer ids are given out once, across clean and unclean stops`() async throws {
    var seen: Set<Int64> = []
    let directory = TemporaryDirectory()
    for round in 0..<4 {
      let broker = try TestBroker(in: directory)
      for _ in 0..<(round == 1 ? 1500 : 10) {
        let response = try await broker.send(InitProducerIdRequest(transactionalId: nil))
        #expect(response.errorCode == 0 && response.producerEpoch == 0)
        #expect(seen.insert(response.producerId).inserted, "\(response.producerId)")
      }
      if round.isMultiple(of: 2) { broker.stop() } else { broker.crash() }
    }
  }
}
