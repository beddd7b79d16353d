// The group coordinator's part in the consumer protocol (KIP-848).

import MillraceCoordination
import MillraceLog
import MillraceProtocol

extension GroupRuntime {
  func heartbeat(
    _ request: ConsumerGroupHeartbeatRequest, version: Int16, from caller: HeartbeatCaller,
    _ answer: @escaping @Sendable (ConsumerGroupHeartbeatResponse) -> Void
  ) {
    guard let shard = shard(for: request.groupId) else {
      return answer(ConsumerGroupHeartbeatResponse(refusing: .notCoordinator))
    }
    shard.decide { [topics] shard, now in
      shard.heartbeat(request, version: version, from: caller, topics: topics.image, now: now)
    } then: { outcome in
      answer(outcome.recover { ConsumerGroupHeartbeatResponse(refusing: $0) })
    }
  }

  package func describeConsumerGroups(
    _ named: [String], _ answer: @escaping @Sendable ([ConsumerGroupDescribeResponse.DescribedGroup]) -> Void
  ) {
    describe(named) { [topics] shard, groupId in
      shard.describeConsumerGroup(groupId, topics: topics.image)
    } refusing: { groupId, error in
      .init(errorCode: error.rawValue, groupId: groupId)
    } then: {
      answer($0)
    }
  }

  /// Takes over the configs of single groups, as they are and as they change.
  func configureGroups(by catalog: CatalogRuntime) {
    for groupId in catalog.configuredGroups { configure(groupId, by: catalog) }
  }

  func configure(_ groupId: String, by catalog: CatalogRuntime) {
    coordinated.withLock { coordinated in
      let own = catalog.configs(ofGroup: groupId)
      func take(_ config: inout GroupConfig) {
        config.consumer.timeoutsOfGroups[groupId] = own?.consumer
        config.shareOfGroups[groupId] = own?.share
      }
      take(&coordinated.config)
      for shard in coordinated.shards { shard.state.withLock { take(&$0.shard.config) } }
    }
  }
}

extension GroupRuntimeShard {
  /// Matches regular expressions with the names of all topics, on a thread that may take its time.
  func match(_ query: PatternQuery, _ incarnation: UInt64) {
    patternWorker.submit { [weak self] in
      guard let self else { return }
      let matches = query.matches(in: topics.image)
      let effects = state.withLock { state -> Effects? in
        guard state.incarnation == incarnation, state.phase.refusal == nil else { return nil }
        let now = time.now()
        return perform(state.shard.patternsMatched(matches, topics: topics.image, now: now), now, &state)
      }
      if let effects { complete(effects) }
    }
  }
}
