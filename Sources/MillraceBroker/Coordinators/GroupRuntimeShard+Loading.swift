// Reading the journal: at start, and again after it refused a fact for a reason that may pass.

import Logging
import MillraceCoordination
import MillraceLog
import Synchronization

extension GroupRuntimeShard {
  private static let reloadDelay = Duration.seconds(1)

  /// The topic was just made: there is nothing to read.
  func beginEmpty() {
    state.withLock { $0.phase = .serving }
  }

  /// Reads the whole journal and begins to serve. Blocks on the disk.
  func load() {
    let incarnation = state.withLock { state -> UInt64? in
      // Two loads may be on their way: whoever ends first serves.
      guard state.phase.awaitsLoad else { return nil }
      state.phase = .loading
      return state.incarnation
    }
    guard let incarnation else { return }
    var shard = GroupShard(config: state.withLock { $0.shard.config })
    var recordCount = 0
    var newestMs: Int64?
    let began = time.now()
    do {
      try journal.replay { fact, offset, timestamp in
        newestMs = max(newestMs ?? timestamp, timestamp)
        guard let key = fact.key else { return }
        do {
          guard let record = try GroupRecord.decode(key: key, value: fact.value) else { return }
          shard.replay(record, producerId: fact.producerId)
          recordCount += 1
        } catch {
          reportDamage(offset, "\(error)")
        }
      } ended: { producerId, isCommit in
        shard.endTransaction(producerId: producerId, isCommit: isCommit)
      } damaged: { offset, reason in
        reportDamage(offset, reason)
      }
    } catch {
      logger.error(
        "the group coordinator cannot read its journal",
        metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
      state.withLock { if $0.incarnation == incarnation { $0.phase = .offline } }
      return reloadSoon()
    }
    begin(shard, newestMs, incarnation)
    forgetMissingTopics(of: shard)
    guard recordCount > 0 else { return }
    logger.debug(
      "loaded groups",
      metadata: [
        "partition": "\(journal.log.id)", "groups": "\(shard.groupCount)",
        "records": "\(recordCount)",
        "ms": "\(time.now().uptimeMs - began.uptimeMs)",
      ])
  }

  /// Begins to serve what was loaded: from now on members have to be heard of.
  private func begin(_ loaded: GroupShard, _ newestMs: Int64?, _ incarnation: UInt64) {
    let effects = state.withLock { state -> Effects? in
      guard state.incarnation == incarnation, state.phase == .loading else { return nil }
      // Configs may have changed meanwhile.
      let config = state.shard.config
      state.shard = loaded
      state.shard.config = config
      state.newestLoadedMs = newestMs
      state.phase = .serving
      state.journalEnd = journal.log.offsets.logEndOffset
      let now = time.now()
      return perform(state.shard.loaded(topics: topics.image, now: now), now, &state)
    }
    if let effects { complete(effects) }
  }

  /// The broker may have ended between the deletion of a topic and the word of it to the share groups.
  private func forgetMissingTopics(of loaded: GroupShard) {
    guard let shareState = owner?.shareState else { return }
    let missing = loaded.topicsWithShareState.filter { !shareState.catalog.hasTopic(id: $0) }
    guard !missing.isEmpty else { return }
    shareState.whenDeletionIsCertain { [weak self] _ in
      self?.decide({ shard, _ in ((), shard.topicsDeleted(ids: missing)) }, then: { _ in })
    }
  }

  /// Tries again, unless the log has gone offline for writing: that ends with the broker.
  func reloadSoon() {
    guard journal.log.offlineError == nil else { return }
    timers.schedule(after: Self.reloadDelay) { [weak self] in
      BackgroundThread.start(name: "group-loading") { [weak self] in self?.load() }
    }
  }

  private func reportDamage(_ offset: Int64, _ problem: String) {
    logger.warning(
      "a part of the group coordinator's journal cannot be read and is passed over",
      metadata: ["partition": "\(journal.log.id)", "offset": "\(offset)", "problem": "\(problem)"])
  }

  func log(_ notice: GroupNotice) {
    switch notice {
    case .rebalancing(let groupId, let generation, let reason):
      logger.info(
        "group rebalances", metadata: ["group": "\(groupId)", "generation": "\(generation)", "reason": "\(reason)"])
    case .joined(let groupId, let generation, let memberCount):
      logger.info(
        "group has joined",
        metadata: ["group": "\(groupId)", "generation": "\(generation)", "members": "\(memberCount)"])
    case .stable(let groupId, let generation):
      logger.info("group is stable", metadata: ["group": "\(groupId)", "generation": "\(generation)"])
    case .empty(let groupId, let generation):
      logger.info("group is empty", metadata: ["group": "\(groupId)", "generation": "\(generation)"])
    case .deleted(let groupId):
      logger.info("group is deleted", metadata: ["group": "\(groupId)"])
    case .epochBumped(let groupId, let epoch, let reason):
      logger.info(
        "group has a new epoch", metadata: ["group": "\(groupId)", "epoch": "\(epoch)", "reason": "\(reason)"])
    case .removed(let groupId, let memberId, let reason):
      logger.info(
        "member is removed from its group",
        metadata: ["group": "\(groupId)", "member": "\(memberId)", "reason": "\(reason)"])
    case .upgraded(let groupId):
      logger.info("classic group becomes a consumer group", metadata: ["group": "\(groupId)"])
    case .downgraded(let groupId):
      logger.info("consumer group becomes a classic group", metadata: ["group": "\(groupId)"])
    }
  }
}
