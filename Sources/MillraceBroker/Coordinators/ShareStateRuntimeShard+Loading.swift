// Reading the journal: at start, and again after it refused a fact for a reason that may pass.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

extension ShareStateRuntimeShard {
  /// The topic was just made: there is nothing to read.
  func beginEmpty() {
    state.withLock { $0.phase = .serving }
  }

  /// Reads the whole journal and begins to serve. Blocks on the disk.
  func load() {
    let begun = state.withLock { state -> (incarnation: UInt64, config: ShareStateConfig)? in
      // Two loads may be on their way: whoever ends first serves.
      guard state.phase.awaitsLoad else { return nil }
      state.phase = .loading
      return (state.incarnation, state.shard.config)
    }
    guard let begun else { return }
    var shard = ShareStateShard(config: begun.config)
    do {
      try journal.replay { fact, offset, _ in
        guard let key = fact.key else { return }
        do {
          guard let record = try ShareStateRecord.decode(key: key, value: fact.value) else { return }
          shard.replay(record, at: offset, producerId: fact.producerId)
        } catch {
          reportDamage(offset, "\(error)")
        }
      } ended: { producerId, isCommit in
        shard.ended(producerId: producerId, isCommit: isCommit)
      } damaged: { offset, reason in
        reportDamage(offset, reason)
      }
    } catch {
      logger.error(
        "the share coordinator cannot read its journal",
        metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
      state.withLock { if $0.incarnation == begun.incarnation { $0.phase = .offline } }
      return reloadSoon()
    }
    let isServing = state.withLock { state in
      guard state.incarnation == begun.incarnation, state.phase == .loading else { return false }
      state.shard = shard
      state.phase = .serving
      state.journalEnd = journal.log.offsets.logEndOffset
      return true
    }
    guard isServing else { return }
    deleteStatesOfMissingTopics(Set(shard.states.keys.map(\.topicId)))
    findLetters()
  }

  func findLetters() {
    let keys = state.withLock { $0.phase == .serving ? $0.shard.keysWithLetters : [] }
    for key in keys { owner?.foundLetters(key) }
  }

  /// The broker may have ended between the deletion of a topic and that of its states.
  private func deleteStatesOfMissingTopics(_ known: Set<Uuid>) {
    let missing = known.filter { owner?.catalog.hasTopic(id: $0) == false }
    guard !missing.isEmpty else { return }
    owner?.whenDeletionIsCertain { [weak self] _ in self?.delete(topics: missing) }
  }

  private func reportDamage(_ offset: Int64, _ problem: String) {
    logger.warning(
      "a part of the share coordinator's journal cannot be read and is passed over",
      metadata: ["partition": "\(journal.log.id)", "offset": "\(offset)", "problem": "\(problem)"])
  }
}
