// Offsets that nobody uses any more go after `offsets.retention.minutes` (KIP-211), looked for every
// `offsets.retention.check.interval.ms` and only while the wall clock can be trusted.

import Logging
import MillraceCoordination
import MillraceLog
import Synchronization

extension GroupRuntime {
  /// Looks after `expiryIntervalMs`, and again that long after each look.
  func expireOffsetsRegularly() {
    timers.schedule(after: .milliseconds(expiryIntervalMs)) { [weak self] in
      // Not on the timers' thread: there may be much to journal.
      BackgroundThread.start(name: "group-expiry") { [weak self] in
        self?.expireOffsetsIfTrusted()
        self?.expireOffsetsRegularly()
      }
    }
  }

  private func expireOffsetsIfTrusted() {
    let shards = self.shards
    let newestMs = shards.compactMap { $0.state.withLock { $0.newestLoadedMs } }.max()
    let isTrusted = trust.withLock { trust in
      var current = trust ?? WallClockTrust(start: start, lastWallMs: newestMs)
      defer { trust = current }
      return current.isTrusted(at: time.now())
    }
    guard isTrusted else {
      return logger.warning("no offsets expire for now: the clock has jumped, or the broker was away for long")
    }
    expireOffsets()
  }

  func expireOffsets() {
    for shard in shards {
      shard.decide { shard, now in
        ((), shard.expireOffsets(now: now))
      } then: { _ in
      }
    }
  }
}
