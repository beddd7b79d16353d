import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceBroker

@Suite struct `The handlers of the group APIs` {
  private func serve() async throws -> (GroupBroker, GroupClient) {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    #expect(try await client.findCoordinator().errorCode == 0)
    return (broker, client)
  }

  // MARK: FindCoordinator

  @Test(arguments: FindCoordinatorHandler.versions)
  func `every version of FindCoordinator names this broker`(version: Int16) async throws {
    let broker = try GroupBroker()
    let request = FindCoordinatorRequest(
      key: version < 4 ? "g" : "", keyType: 0, coordinatorKeys: version < 4 ? [] : ["g", "h"])
    let response = try await broker.send(request, version: version)
    if version < 4 {
      #expect(response.errorCode == 0)
      #expect(response.nodeId == broker.broker.configuration.nodeId)
      #expect(response.host == "localhost" && response.port == 9092)
    } else {
      #expect(response.coordinators.map(\.key) == ["g", "h"])
      #expect(response.coordinators.allSatisfy { $0.errorCode == 0 && $0.host == "localhost" && $0.port == 9092 })
    }
    #expect(broker.broker.topics.topic(named: "__consumer_offsets")?.partitions.count == 4)
  }

  @Test func `unknown kinds of coordinators are refused, and nothing is made for them`() async throws {
    let broker = try GroupBroker(["transaction.state.log.num.partitions": "2"])
    func error(_ keyType: Int8, version: Int16) async throws -> ErrorCode {
      let request = FindCoordinatorRequest(
        key: version < 4 ? "k" : "", keyType: keyType, coordinatorKeys: version < 4 ? [] : ["k"])
      let response = try await broker.send(request, version: version)
      return ErrorCode(rawValue: version < 4 ? response.errorCode : response.coordinators[0].errorCode)
    }
    #expect(try await error(1, version: 3) == .none)
    #expect(try await error(1, version: 6) == .none)
    #expect(broker.broker.topics.topic(named: "__transaction_state") != nil)
    #expect(try await error(2, version: 5) == .invalidRequest)
    #expect(try await error(2, version: 6) == .invalidRequest)
    #expect(broker.broker.topics.topic(named: "__share_group_state") == nil, "k is no share-partition")
    #expect(try await error(3, version: 6) == .invalidRequest)
    #expect(try await error(9, version: 2) == .invalidRequest)
    #expect(broker.broker.topics.topic(named: "__consumer_offsets") == nil, "nobody asked for a group")
  }

  @Test func `many who look for the first coordinator at once find the same`() async throws {
    let broker = try GroupBroker()
    let client = GroupClient(broker: broker)
    let pending = try (0..<20).map { _ in
      try broker.begin(FindCoordinatorRequest(keyType: 0, coordinatorKeys: ["g"]), version: 6)
    }
    let memberId = try await client.findCoordinator().errorCode == 0 ? client.becomeOnlyMember().memberId : ""
    for one in pending { #expect(try await one.answer().coordinators[0].errorCode == 0) }
    let described = try await broker.send(DescribeGroupsRequest(groups: ["g"]), version: 6).groups[0]
    #expect(described.members.map(\.memberId) == [memberId])
  }

  @Test func `before anybody looked for a coordinator there is none to ask, and no groups to list`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    #expect(try await client.commit(1) == .notCoordinator)
    #expect(try await client.heartbeat("m", 1) == .notCoordinator)
    await #expect(throws: ErrorCode.notCoordinator) { try await client.committed() }
    #expect(
      ErrorCode(rawValue: try await broker.send(try client.joinRequest(), version: 9).errorCode) == .notCoordinator)
    #expect(
      ErrorCode(rawValue: try await broker.send(SyncGroupRequest(groupId: "g"), version: 4).errorCode)
        == .notCoordinator)
    #expect(
      ErrorCode(rawValue: try await broker.send(LeaveGroupRequest(groupId: "g"), version: 5).errorCode)
        == .notCoordinator)
    let deleted = try await broker.send(DeleteGroupsRequest(groupsNames: ["g"]), version: 2)
    #expect(ErrorCode(rawValue: deleted.results[0].errorCode) == .notCoordinator)
    let listed = try await broker.send(ListGroupsRequest(), version: 5)
    #expect(listed.errorCode == 0 && listed.groups.isEmpty)
  }

  // MARK: Membership

  @Test(arguments: JoinGroupHandler.versions)
  func `every version of JoinGroup and SyncGroup makes a group`(version: Int16) async throws {
    let (broker, client) = try await serve()
    var memberId = ""
    if version >= 4 {
      let first = try await broker.send(try client.joinRequest(), version: version)
      #expect(ErrorCode(rawValue: first.errorCode) == .memberIdRequired)
      #expect(first.protocolName == (version >= 7 ? nil : ""))
      memberId = first.memberId
      #expect(memberId.hasPrefix("test-") && memberId.count == "test-".count + 36)
    }
    let joined = try await broker.send(try client.joinRequest(memberId: memberId), version: version)
    #expect(joined.errorCode == 0)
    #expect(joined.protocolName == "range")
    #expect(joined.protocolType == (version >= 7 ? "consumer" : nil))
    #expect(joined.leader == joined.memberId && joined.members.count == 1)
    let syncVersion = min(version, 5)
    let synced = try await broker.send(
      SyncGroupRequest(
        groupId: "g", generationId: joined.generationId, memberId: joined.memberId,
        protocolType: syncVersion >= 5 ? "consumer" : nil, protocolName: syncVersion >= 5 ? "range" : nil,
        assignments: [.init(memberId: joined.memberId, assignment: ByteBuffer(string: "all"))]),
      version: syncVersion)
    #expect(synced.errorCode == 0 && String(buffer: synced.assignment) == "all")
    let left = try await broker.send(
      syncVersion < 3
        ? LeaveGroupRequest(groupId: "g", memberId: joined.memberId)
        : LeaveGroupRequest(groupId: "g", members: [.init(memberId: joined.memberId)]),
      version: syncVersion)
    #expect(left.errorCode == 0 && left.members.allSatisfy { $0.errorCode == 0 })
  }

  @Test func `a SyncGroup v5 without protocol is refused`() async throws {
    let (broker, _) = try await serve()
    let response = try await broker.send(SyncGroupRequest(groupId: "g", protocolType: "consumer"), version: 5)
    #expect(ErrorCode(rawValue: response.errorCode) == .inconsistentGroupProtocol)
  }

  @Test func `requests of one connection may be pipelined behind a join that waits`() async throws {
    let (broker, client) = try await serve()
    let (memberId, generation) = try await client.becomeOnlyMember()
    let newcomer = try await broker.send(try client.joinRequest(), version: 9).memberId
    let parked = try broker.begin(try client.joinRequest(memberId: newcomer), version: 9)
    #expect(try await client.heartbeat(memberId, generation) == .rebalanceInProgress)
    let again = try broker.begin(try client.joinRequest(memberId: memberId), version: 9)
    #expect(try await parked.answer().generationId == generation + 1)
    #expect(try await again.answer().members.count == 2)
  }

  // MARK: Offsets

  @Test(arguments: OffsetCommitHandler.versions)
  func `every version of OffsetCommit keeps an offset and refuses what is not there`(version: Int16) async throws {
    let (broker, client) = try await serve()
    let topic = try #require(broker.broker.topics.topic(named: "orders"))
    let byId = version >= 10
    typealias Topic = OffsetCommitRequest.OffsetCommitRequestTopic
    func partition(_ index: Int32) -> OffsetCommitRequest.OffsetCommitRequestPartition {
      .init(partitionIndex: index, committedOffset: 9, committedMetadata: nil)
    }
    let request = OffsetCommitRequest(
      groupId: "g",
      topics: [
        Topic(
          name: byId ? "" : "orders", topicId: byId ? topic.id : .zero,
          partitions: [partition(0), partition(1), partition(2), partition(-1)]),
        Topic(
          name: byId ? "" : "unknown", topicId: byId ? Uuid(high: 1, low: 2) : .zero, partitions: [partition(0)]),
      ])
    let response = try await broker.send(request, version: version)
    #expect(response.topics.count == 2)
    let orders = try #require(response.topics.first { byId ? $0.topicId == topic.id : $0.name == "orders" })
    let errors = Dictionary(
      uniqueKeysWithValues: orders.partitions.map { ($0.partitionIndex, ErrorCode(rawValue: $0.errorCode)) })
    #expect(
      errors == [0: .none, 1: .none, 2: .unknownTopicOrPartition, -1: .unknownTopicOrPartition])
    let unknown = try #require(response.topics.first { $0.partitions.count == 1 })
    #expect(ErrorCode(rawValue: unknown.partitions[0].errorCode) == (byId ? .unknownTopicId : .unknownTopicOrPartition))
    #expect(try await client.committed() == 9)
  }

  @Test(arguments: OffsetFetchHandler.versions)
  func `every version of OffsetFetch reads offsets, one by one and all`(version: Int16) async throws {
    let (broker, client) = try await serve()
    try await broker.makeTopic("payments")
    #expect(try await client.commit(5) == .none)
    #expect(try await client.commit(6, topic: "payments") == .none)
    let topic = try #require(broker.broker.topics.topic(named: "orders"))
    let byId = version >= 10

    func fetch(all: Bool) async throws -> [OffsetFetchResponse.OffsetFetchResponseTopics] {
      if version >= 8 {
        let topics: [OffsetFetchRequest.OffsetFetchRequestTopics]? =
          all
          ? nil
          : [
            .init(name: byId ? "" : "orders", topicId: byId ? topic.id : .zero, partitionIndexes: [0, 1]),
            .init(name: byId ? "" : "unknown", topicId: byId ? Uuid(high: 1, low: 2) : .zero, partitionIndexes: [0]),
          ]
        let request = OffsetFetchRequest(
          groups: [.init(groupId: "g", topics: topics), .init(groupId: "nobody's", topics: topics)],
          requireStable: true)
        let response = try await broker.send(request, version: version)
        #expect(response.groups.map(\.groupId) == ["g", "nobody's"])
        #expect(response.groups.allSatisfy { $0.errorCode == 0 })
        #expect(response.groups[1].topics.flatMap(\.partitions).allSatisfy { $0.committedOffset == -1 })
        return response.groups[0].topics
      }
      let request = OffsetFetchRequest(
        groupId: "g",
        topics: all
          ? nil
          : [.init(name: "orders", partitionIndexes: [0, 1]), .init(name: "unknown", partitionIndexes: [0])])
      let response = try await broker.send(request, version: version)
      #expect(response.errorCode == 0)
      return response.topics.map { topic in
        .init(
          name: topic.name,
          partitions: topic.partitions.map {
            .init(partitionIndex: $0.partitionIndex, committedOffset: $0.committedOffset, errorCode: $0.errorCode)
          })
      }
    }

    let some = try await fetch(all: false)
    #expect(some.count == 2)
    #expect(some[0].partitions.map(\.committedOffset) == [5, -1])
    #expect(some[1].partitions.map(\.committedOffset) == [-1])
    #expect(ErrorCode(rawValue: some[1].partitions[0].errorCode) == (byId ? .unknownTopicId : .none))
    guard version >= 2 else { return }
    let all = try await fetch(all: true)
    #expect(all.map { $0.partitions.map(\.committedOffset) } == [[5], [6]])
    if byId {
      #expect(all.map(\.topicId).first == topic.id)
    } else {
      #expect(all.map(\.name) == ["orders", "payments"])
    }
  }

  @Test(arguments: [1, 2, 7, 8, 10] as [Int16])
  func `an OffsetFetch that goes wrong says so where its version can`(version: Int16) async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeTopic("orders")
    if version >= 8 {
      let request = OffsetFetchRequest(
        groups: [
          .init(
            groupId: "g",
            topics: [
              .init(
                name: version >= 10 ? "" : "orders", topicId: version >= 10 ? topic.id : .zero, partitionIndexes: [0])
            ])
        ])
      let response = try await broker.send(request, version: version)
      #expect(ErrorCode(rawValue: response.groups[0].errorCode) == .notCoordinator)
      return
    }
    let request = OffsetFetchRequest(groupId: "g", topics: [.init(name: "orders", partitionIndexes: [0])])
    let response = try await broker.send(request, version: version)
    if version == 1 {
      #expect(ErrorCode(rawValue: response.topics[0].partitions[0].errorCode) == .notCoordinator)
    } else {
      #expect(ErrorCode(rawValue: response.errorCode) == .notCoordinator)
    }
  }

  @Test func `OffsetDelete refuses partitions that do not exist and groups that are in the way`() async throws {
    let (broker, client) = try await serve()
    func delete(_ topics: [String: [Int32]], from groupId: String = "g") async throws -> OffsetDeleteResponse {
      let request = OffsetDeleteRequest(
        groupId: groupId,
        topics: topics.sorted { $0.key < $1.key }.map { name, partitions in
          .init(name: name, partitions: partitions.map { .init(partitionIndex: $0) })
        })
      return try await broker.send(request, version: 0)
    }
    #expect(ErrorCode(rawValue: try await delete(["orders": [0]]).errorCode) == .groupIdNotFound)
    #expect(ErrorCode(rawValue: try await delete(["orders": [0]], from: "").errorCode) == .invalidGroupId)
    #expect(try await client.commit(5) == .none)
    let response = try await delete(["orders": [0, 7], "unknown": [0]])
    #expect(response.errorCode == 0)
    let orders = try #require(response.topics.first { $0.name == "orders" })
    #expect(orders.partitions.map { ErrorCode(rawValue: $0.errorCode) } == [.none, .unknownTopicOrPartition])
    let unknown = try #require(response.topics.first { $0.name == "unknown" })
    #expect(unknown.partitions.map { ErrorCode(rawValue: $0.errorCode) } == [.unknownTopicOrPartition])
    #expect(try await client.committed() == -1)
    _ = try await client.becomeOnlyMember()
    let inUse = try await delete(["orders": [0]])
    #expect(ErrorCode(rawValue: inUse.topics[0].partitions[0].errorCode) == .groupSubscribedToTopic)
  }

  // MARK: Administration

  @Test func `groups of several partitions are described, listed and deleted together`() async throws {
    let (broker, _) = try await serve()
    let groupIds = (0..<12).map { "group-\($0)" }
    for groupId in groupIds { #expect(try await GroupClient(broker: broker, groupId: groupId).commit(1) == .none) }
    let busy = GroupClient(broker: broker, groupId: "busy")
    _ = try await busy.becomeOnlyMember()

    let described = try await broker.send(
      DescribeGroupsRequest(groups: groupIds + ["missing"], includeAuthorizedOperations: true), version: 6)
    #expect(described.groups.map(\.groupId) == groupIds + ["missing"])
    #expect(described.groups.dropLast().allSatisfy { $0.groupState == "Empty" && $0.authorizedOperations == 3_400 })
    #expect(ErrorCode(rawValue: described.groups[12].errorCode) == .groupIdNotFound)
    #expect(described.groups[12].authorizedOperations == .min)

    let listed = try await broker.send(ListGroupsRequest(), version: 5)
    #expect(Set(listed.groups.map(\.groupId)) == Set(groupIds + ["busy"]))
    #expect(listed.groups.allSatisfy { $0.groupType == "classic" })
    let stable = try await broker.send(ListGroupsRequest(statesFilter: ["stable"]), version: 4)
    #expect(stable.groups.map(\.groupId) == ["busy"])
    #expect(try await broker.send(ListGroupsRequest(), version: 0).groups.count == 13)

    let deleted = try await broker.send(
      DeleteGroupsRequest(groupsNames: groupIds + ["busy", "missing", "missing"]), version: 2)
    #expect(deleted.results.map(\.groupId) == groupIds + ["busy", "missing"])
    let errors = deleted.results.map { ErrorCode(rawValue: $0.errorCode) }
    #expect(errors == groupIds.map { _ in .none } + [.nonEmptyGroup, .groupIdNotFound])
    #expect(try await broker.send(ListGroupsRequest(), version: 5).groups.map(\.groupId) == ["busy"])
    try broker.restart()
    try await eventually { try await broker.send(ListGroupsRequest(), version: 5).groups.map(\.groupId) == ["busy"] }
  }
}
