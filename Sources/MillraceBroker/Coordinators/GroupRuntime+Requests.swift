// What handlers ask of the coordinator. Answers come once, on any thread, when they are durable.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

extension GroupRuntime {
  package func join(
    _ request: JoinGroupRequest, from caller: JoinCaller, _ answer: @escaping @Sendable (JoinGroupResponse) -> Void
  ) {
    guard let shard = shard(for: request.groupId) else {
      return answer(JoinGroupResponse(refusing: .notCoordinator, memberId: request.memberId))
    }
    shard.join(request, from: caller, answer)
  }

  package func sync(_ request: SyncGroupRequest, _ answer: @escaping @Sendable (SyncGroupResponse) -> Void) {
    guard let shard = shard(for: request.groupId) else { return answer(SyncGroupResponse(refusing: .notCoordinator)) }
    shard.sync(request, answer)
  }

  package func heartbeat(_ request: HeartbeatRequest) -> HeartbeatResponse {
    shard(for: request.groupId)?.heartbeat(request) ?? HeartbeatResponse(refusing: .notCoordinator)
  }

  package func leave(
    _ request: LeaveGroupRequest, version: Int16, _ answer: @escaping @Sendable (LeaveGroupResponse) -> Void
  ) {
    guard let shard = shard(for: request.groupId) else { return answer(LeaveGroupResponse(refusing: .notCoordinator)) }
    shard.decide { [topics] shard, now in
      shard.leave(request, version: version, topics: topics.image, now: now)
    } then: { outcome in
      answer(outcome.recover { LeaveGroupResponse(refusing: $0) })
    }
  }

  package func commit(
    _ request: OffsetCommitRequest, version: Int16, _ answer: @escaping @Sendable (OffsetCommitResponse) -> Void
  ) {
    guard let shard = shard(for: request.groupId) else {
      return answer(OffsetCommitResponse(refusing: request, .notCoordinator))
    }
    shard.decide { shard, now in
      shard.commit(request, version: version, now: now)
    } then: { outcome in
      answer(outcome.recover { OffsetCommitResponse(refusing: request, $0) })
    }
  }

  package func fetchOffsets(
    _ request: OffsetFetchRequest.OffsetFetchRequestGroup, requireStable: Bool,
    _ answer: @escaping @Sendable (Result<OffsetFetchResponse.OffsetFetchResponseGroup, ErrorCode>) -> Void
  ) {
    guard let shard = shard(for: request.groupId) else { return answer(.failure(.notCoordinator)) }
    shard.read({ $0.fetchOffsets(request, requireStable: requireStable) }, then: answer)
  }

  package func deleteOffsets(
    _ request: OffsetDeleteRequest, _ answer: @escaping @Sendable (OffsetDeleteResponse) -> Void
  ) {
    guard let shard = shard(for: request.groupId) else {
      return answer(OffsetDeleteResponse(refusing: request.groupId.isEmpty ? .invalidGroupId : .notCoordinator))
    }
    shard.decide { shard, _ in
      shard.deleteOffsets(request)
    } then: { outcome in
      answer(outcome.recover { OffsetDeleteResponse(refusing: $0) })
    }
  }

  package func describe(
    _ named: [String], version: Int16,
    _ answer: @escaping @Sendable ([DescribeGroupsResponse.DescribedGroup]) -> Void
  ) {
    describe(named) { shard, groupId in
      shard.describe(groupId, version: version)
    } refusing: { groupId, error in
      .init(errorCode: error.rawValue, groupId: groupId)
    } then: {
      answer($0)
    }
  }

  /// In the order in which they are named. A group that is named again is not described again, or a short request could
  /// ask for an answer of any length.
  func describe<Description: Sendable>(
    _ named: [String], _ question: @escaping (GroupShard, _ groupId: String) -> Description,
    refusing refusal: @escaping @Sendable (_ groupId: String, ErrorCode) -> Description,
    then answer: @escaping @Sendable ([Description]) -> Void
  ) {
    let groupIds = named.eachOnce()
    let gathering = Gathering(count: groupIds.count, answer)
    for (index, groupId) in groupIds.enumerated() {
      guard let shard = shard(for: groupId) else {
        gathering.put(refusal(groupId, .notCoordinator), at: index)
        continue
      }
      shard.read {
        question($0, groupId)
      } then: { outcome in
        gathering.put(outcome.recover { refusal(groupId, $0) }, at: index)
      }
    }
  }

  /// All groups that pass, or the first error of a shard that should have said which it has.
  package func list(
    states: [String], types: [String], _ answer: @escaping @Sendable (ListGroupsResponse) -> Void
  ) {
    let shards = self.shards
    let gathering = Gathering<Result<[ListGroupsResponse.ListedGroup], ErrorCode>>(count: shards.count) { outcomes in
      var response = ListGroupsResponse(errorCode: ErrorCode.none.rawValue)
      for outcome in outcomes {
        switch outcome {
        case .success(let groups): response.groups += groups
        // As in Kafka: what is coordinated elsewhere, or nowhere now, is not listed here.
        case .failure(.notCoordinator): break
        case .failure(let error): return answer(ListGroupsResponse(errorCode: error.rawValue))
        }
      }
      answer(response)
    }
    for (index, shard) in shards.enumerated() {
      shard.read {
        $0.list(states: states, types: types)
      } then: {
        gathering.put($0, at: index)
      }
    }
  }

  /// In the order of `groupIds`, which are distinct.
  package func delete(
    _ groupIds: [String], _ answer: @escaping @Sendable ([DeleteGroupsResponse.DeletableGroupResult]) -> Void
  ) {
    let gathering = Gathering(count: groupIds.count, answer)
    for (index, groupId) in groupIds.enumerated() {
      delete(groupId) { error in
        gathering.put(.init(groupId: groupId, errorCode: error.rawValue), at: index)
      }
    }
  }

  func forgetTopic(named name: String, id: Uuid) {
    for shard in shards {
      shard.decide { shard, _ in
        var decision = shard.topicsDeleted([name])
        decision.records += shard.topicsDeleted(ids: [id]).records
        return ((), decision)
      } then: { _ in
      }
    }
  }
}

extension Result {
  /// The value, or what stands for it in an answer that has to be given anyway.
  func recover(_ substitute: (Failure) -> Success) -> Success {
    switch self {
    case .success(let value): value
    case .failure(let error): substitute(error)
    }
  }
}
