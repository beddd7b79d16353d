// What the group wants: the topics it subscribes to, its epoch, and the target assignment for that epoch.

import MillraceProtocol

extension ConsumerGroup {
  /// A group epoch after this one.
  var nextEpoch: Int32 { epoch == .max ? 1 : epoch + 1 }

  /// Stands for the topics that the group subscribes to.
  func hash(of image: TopicImage) -> Int64 {
    var names = Set(index.topicNames.keys)
    for pattern in resolvedPatterns.values { names.formUnion(pattern.topics) }
    return image.hash(of: names)
  }

  /// Journals the next epoch, if it has to be or if the topics that the group subscribes to have changed.
  mutating func bumpEpoch(
    ifChanged: Bool, because reason: @autoclosure () -> String, _ image: TopicImage, _ decision: inout GroupDecision
  ) {
    let hash = hash(of: image)
    checkedTopicsVersion = image.version
    let isChanged = hash != metadataHash
    guard !ifChanged || isChanged else { return }
    journal(epochRecord(nextEpoch, hash: hash), &decision)
    if hasPartitionMetadataRecord {
      journal(.consumerPartitions(ConsumerGroupPartitionMetadataKey(groupId: groupId), nil), &decision)
    }
    decision.notices.append(
      .epochBumped(groupId: groupId, epoch: epoch, reason: ifChanged ? "topics have changed" : reason()))
  }

  /// The topics that a member subscribes to by name or by expression. One that is not there is left out, and so is an
  /// expression that was not looked up yet.
  func subscribedTopicIds(_ profile: ConsumerMember.Profile, _ image: TopicImage) -> Set<Uuid> {
    var ids = Set(profile.topicNames.compactMap { image[$0]?.id })
    if let pattern = profile.topicRegex, let resolved = resolvedPatterns[pattern] {
      ids.formUnion(resolved.topics.compactMap { image[$0]?.id })
    }
    return ids
  }

  /// The assignor that most members ask for; of several the first by name, and the first configured if nobody does.
  func preferredAssignor(_ config: ConsumerGroupConfig) -> Assignor {
    let votes = index.serverAssignors.compactMap { name, count in
      Assignor(rawValue: name).map { (assignor: $0, count: count) }
    }
    let winner = votes.max { a, b in
      a.count != b.count ? a.count < b.count : a.assignor.rawValue > b.assignor.rawValue
    }
    return winner?.assignor ?? config.assignors.first ?? .uniform
  }

  /// Computes the target assignment of the group epoch and journals what is different from the last.
  mutating func retarget(_ image: TopicImage, _ config: ConsumerGroupConfig, _ decision: inout GroupDecision) {
    var partitionCounts: [Uuid: Int32] = [:]
    let subscribers = members.values.sorted { $0.memberId < $1.memberId }.map { member in
      let topics = subscribedTopicIds(member.profile, image).sorted { $0.precedes($1) }
      for topic in topics { partitionCounts[topic] = image[topic]?.partitionCount }
      return Subscriber(
        memberId: member.memberId, instanceId: member.instanceId, topics: topics,
        current: targets[member.memberId] ?? PartitionsByTopic())
    }
    let assigned = preferredAssignor(config).assign(subscribers, partitionCounts: partitionCounts)
    for (subscriber, target) in zip(subscribers, assigned) where targets[subscriber.memberId] != target {
      journal(targetRecord(subscriber.memberId, target), &decision)
    }
    journal(assignmentEpochRecord(epoch), &decision)
  }
}
