// The group coordinator's part in share groups (KIP-932). Membership is journaled in __consumer_offsets as for other
// groups; where a group is in its partitions is the share coordinator's, which is asked once what caused it is durable.
// After a crash in between the group knows what it has begun, and the next heartbeat or request of a tool goes on.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol

extension GroupRuntime {
  func heartbeat(
    _ request: ShareGroupHeartbeatRequest, from caller: HeartbeatCaller,
    _ answer: @escaping @Sendable (ShareGroupHeartbeatResponse) -> Void
  ) {
    guard let shard = shard(for: request.groupId) else {
      return answer(ShareGroupHeartbeatResponse(refusing: .notCoordinator))
    }
    shard.decide { [topics] shard, now in
      shard.heartbeat(request, from: caller, topics: topics.image, now: now)
    } then: { outcome in
      answer(outcome.recover { ShareGroupHeartbeatResponse(refusing: $0) })
    }
  }

  func describeShareGroups(
    _ named: [String], _ answer: @escaping @Sendable ([ShareGroupDescribeResponse.DescribedGroup]) -> Void
  ) {
    describe(named) { [topics] shard, groupId in
      shard.describeShareGroup(groupId, topics: topics.image)
    } refusing: { groupId, error in
      .init(errorCode: error.rawValue, groupId: groupId)
    } then: {
      answer($0)
    }
  }

  /// The share-partitions that the group has state of; none if there is no such group.
  func initializedPartitions(
    ofShareGroup groupId: String, _ answer: @escaping @Sendable (Result<PartitionsByTopic, ErrorCode>) -> Void
  ) {
    guard let shard = shard(for: groupId) else { return answer(.failure(.notCoordinator)) }
    shard.read({ $0.initializedPartitions(ofShareGroup: groupId) }, then: answer)
  }

  // MARK: AlterShareGroupOffsets

  func alterOffsets(
    _ request: AlterShareGroupOffsetsRequest, _ answer: @escaping @Sendable (AlterShareGroupOffsetsResponse) -> Void
  ) {
    guard let shard = shard(for: request.groupId) else {
      let isNamed = !request.groupId.isEmpty
      return answer(AlterShareGroupOffsetsResponse(refusing: isNamed ? .notCoordinator : .invalidGroupId))
    }
    shard.decide { [topics] shard, now in
      let (response, wanted, decision) = shard.alterOffsets(request, topics: topics.image, now: now)
      return ((response: response, wanted: wanted), decision)
    } then: { [self] outcome in
      switch outcome {
      case .failure(let error): answer(AlterShareGroupOffsetsResponse(refusing: error))
      case .success(let begun):
        initialize(begun.wanted, in: shard) { failures in
          var response = begun.response
          response.note(failures)
          answer(response)
        }
      }
    }
  }

  // MARK: DeleteShareGroupOffsets

  func deleteOffsets(
    _ request: DeleteShareGroupOffsetsRequest, _ answer: @escaping @Sendable (DeleteShareGroupOffsetsResponse) -> Void
  ) {
    let groupId = request.groupId
    guard let shard = shard(for: groupId) else {
      return answer(DeleteShareGroupOffsetsResponse(refusing: groupId.isEmpty ? .invalidGroupId : .notCoordinator))
    }
    shard.decide { [topics] shard, _ in
      let (response, keys, decision) = shard.beginDeletingOffsets(request, topics: topics.image)
      return ((response: response, keys: keys), decision)
    } then: { [self] outcome in
      switch outcome {
      case .failure(let error): answer(DeleteShareGroupOffsetsResponse(refusing: error))
      case .success(let begun):
        guard !begun.keys.isEmpty else { return answer(begun.response) }
        delete(begun.keys) { failures in
          var response = begun.response
          response.note(failures)
          let gone = Set(begun.keys.map(\.topicId)).subtracting(failures.keys.map(\.topicId))
          shard.decide { shard, _ in
            ((), shard.finishDeletingOffsets(ofGroup: groupId, topics: gone))
          } then: { [response] outcome in
            switch outcome {
            case .success: answer(response)
            case .failure(let error): answer(DeleteShareGroupOffsetsResponse(refusing: error))
            }
          }
        }
      }
    }
  }

  // MARK: DeleteGroups

  /// Deletes a group of any kind.
  func delete(_ groupId: String, _ answer: @escaping @Sendable (ErrorCode) -> Void) {
    guard let shard = shard(for: groupId) else { return answer(.notCoordinator) }
    enum Step {
      case done(ErrorCode)
      case states([ShareStateKey])
    }
    shard.decide { [topics] shard, _ -> (Step, GroupDecision) in
      guard let (states, decision) = shard.beginDeletion(ofShareGroup: groupId, topics: topics.image) else {
        let (results, decision) = shard.delete([groupId])
        return (.done(results[0].errorCode == 0 ? .none : ErrorCode(rawValue: results[0].errorCode)), decision)
      }
      switch states {
      case .success(let keys): return (.states(keys), decision)
      case .failure(let error): return (.done(error), decision)
      }
    } then: { [self] outcome in
      switch outcome {
      case .failure(let error), .success(.done(let error)): answer(error)
      case .success(.states(let keys)):
        delete(keys) { failures in
          if let error = failures.first?.value { return answer(error) }
          shard.decide { shard, _ in
            shard.finishDeletion(ofShareGroup: groupId)
          } then: {
            answer($0.recover { $0 })
          }
        }
      }
    }
  }

  // MARK: The share coordinator

  /// Has the states initialized and tells the group, then calls `done` with what failed.
  func initialize(
    _ wanted: [ShareInitialization], in shard: GroupRuntimeShard,
    then done: @escaping @Sendable (_ failures: [ShareStateKey: ErrorCode]) -> Void = { _ in }
  ) {
    guard let groupId = wanted.first?.key.groupId else { return done([:]) }
    let gathering = Gathering<ErrorCode>(count: wanted.count) { [self] results in
      var (made, failed) = (PartitionsByTopic(), PartitionsByTopic())
      var failures: [ShareStateKey: ErrorCode] = [:]
      for (one, error) in zip(wanted, results) {
        if error == .none {
          made.insert(one.key.topicId, one.key.partition)
        } else {
          failed.insert(one.key.topicId, one.key.partition)
          failures[one.key] = error
        }
      }
      if let error = failures.first?.value {
        logger.warning(
          "the state of share-partitions cannot be initialized yet",
          metadata: ["group": "\(groupId)", "partitions": "\(failures.count)", "error": "\(error.name)"])
      }
      shard.decide { [topics, made, failed] shard, _ in
        ((), shard.initialized(made, butNot: failed, ofGroup: groupId, topics: topics.image))
      } then: { [failures] outcome in
        switch outcome {
        case .success: done(failures)
        case .failure(let error): done(Dictionary(wanted.map { ($0.key, error) }) { first, _ in first })
        }
      }
    }
    for (index, one) in wanted.enumerated() {
      shareState.initialize(one.key, stateEpoch: one.stateEpoch, startOffset: one.startOffset) {
        gathering.put($0, at: index)
      }
    }
  }

  /// Has the states deleted, and calls `done` with what failed.
  private func delete(
    _ keys: [ShareStateKey], then done: @escaping @Sendable (_ failures: [ShareStateKey: ErrorCode]) -> Void
  ) {
    let gathering = Gathering<ErrorCode>(count: keys.count) { results in
      var failures: [ShareStateKey: ErrorCode] = [:]
      for (key, error) in zip(keys, results) {
        if error != .none { failures[key] = error }
      }
      done(failures)
    }
    for (index, key) in keys.enumerated() { shareState.delete(key) { gathering.put($0, at: index) } }
  }

  // MARK: Who listens

  /// Calls `body` with members that were put out of their group because they fell silent, on any thread. Set it before
  /// the broker starts.
  package func onFenced(_ body: @escaping @Sendable (ShareSessionKey) -> Void) { fencedObserver.withLock { $0 = body } }

  func fenced(_ member: ShareSessionKey) { fencedObserver.withLock { $0 }?(member) }
}

extension AlterShareGroupOffsetsResponse {
  fileprivate mutating func note(_ failures: [ShareStateKey: ErrorCode]) {
    for (key, error) in failures {
      for topic in responses.indices where responses[topic].topicId == key.topicId {
        for index in responses[topic].partitions.indices
        where responses[topic].partitions[index].partitionIndex == key.partition
          && responses[topic].partitions[index].errorCode == ErrorCode.none.rawValue
        {
          responses[topic].partitions[index].errorCode = error.rawValue
          responses[topic].partitions[index].errorMessage = error.name
        }
      }
    }
  }
}

extension DeleteShareGroupOffsetsResponse {
  fileprivate mutating func note(_ failures: [ShareStateKey: ErrorCode]) {
    for (key, error) in failures {
      for topic in responses.indices where responses[topic].topicId == key.topicId {
        responses[topic].errorCode = error.rawValue
        responses[topic].errorMessage = error.name
      }
    }
  }
}
