// Reading the journal: at start, and again after it refused a fact for a reason that may pass.

import Logging
import MillraceCoordination
import MillraceLog
import Synchronization

extension TransactionRuntimeShard {
  private static let reloadDelay = Duration.seconds(1)

  /// The topic was just made: there is nothing to read.
  func beginEmpty() {
    state.withLock { $0.phase = .serving }
  }

  /// Reads the whole journal, begins to serve, and finishes what was decided before. Blocks on the disk.
  func load() {
    let begun = state.withLock { state -> (incarnation: UInt64, config: TransactionConfig)? in
      // Two loads may be on their way: whoever ends first serves.
      guard state.phase.awaitsLoad else { return nil }
      state.phase = .loading
      return (state.incarnation, state.shard.config)
    }
    guard let begun else { return }
    var shard = TransactionShard(config: begun.config)
    var newestMs: Int64?
    do {
      try journal.replay { fact, offset, timestamp in
        newestMs = max(newestMs ?? timestamp, timestamp)
        guard let key = fact.key else { return }
        do {
          if let record = try TransactionRecord.decode(key: key, value: fact.value) { shard.replay(record) }
        } catch {
          reportDamage(offset, "\(error)")
        }
      } damaged: { offset, reason in
        reportDamage(offset, reason)
      }
    } catch {
      logger.error(
        "the transaction coordinator cannot read its journal",
        metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
      state.withLock { if $0.incarnation == begun.incarnation { $0.phase = .offline } }
      return reloadSoon()
    }
    begin(shard, newestMs, begun.incarnation)
  }

  private func begin(_ loaded: TransactionShard, _ newestMs: Int64?, _ incarnation: UInt64) {
    let level = level()
    let effects = state.withLock { state -> Effects? in
      guard state.incarnation == incarnation, state.phase == .loading else { return nil }
      state.shard = loaded
      state.newestLoadedMs = newestMs
      state.phase = .serving
      state.journalEnd = journal.log.offsets.logEndOffset
      return perform(state.shard.loaded(now: time.now()), level, &state)
    }
    if let effects { complete(effects) }
  }

  /// Tries again, unless the log has gone offline for writing: that ends with the broker.
  func reloadSoon() {
    guard journal.log.offlineError == nil else { return }
    timers.schedule(after: Self.reloadDelay) { [weak self] in
      // Not on the timers' thread: it reads a log.
      BackgroundThread.start(name: "txn-loading") { [weak self] in self?.load() }
    }
  }

  private func reportDamage(_ offset: Int64, _ problem: String) {
    logger.warning(
      "a part of the transaction coordinator's journal cannot be read and is passed over",
      metadata: ["partition": "\(journal.log.id)", "offset": "\(offset)", "problem": "\(problem)"])
  }
}
