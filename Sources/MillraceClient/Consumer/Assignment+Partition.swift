// What an assignment knows of one partition.

import MillraceProtocol
import NIOCore
import Synchronization

extension Assignment {
  struct Partition {
    var token: UInt64
    /// Where to start, until that is resolved to an offset.
    var start: StartPosition?
    /// The offset of the next record to fetch.
    var fetchOffset: Int64 = -1
    /// The offset after what the application has.
    var handedOut: Int64 = -1
    /// Where the application is in the batch that it has, if it takes records one by one.
    var cursor: RecordCursor?
    /// The offset after what the application is done with.
    var completed: Int64 = -1
    var leaderEpoch: Int32 = -1
    var topicId = Uuid.zero
    var leader: Int32?
    /// Where the leader wants it to be read instead, for a while (KIP-392).
    var replica: (broker: Int32, until: NIODeadline)?
    /// How often somebody refused to let it be read, since it was last.
    var refusals = 0
    /// The high watermark, and where what may be read ends, as the broker said last.
    var ends: (highWatermark: Int64, visible: Int64)?
    var isPaused = false
    /// Read to the end, as of some fetch.
    var wasAtEnd = false
    var bufferedBytes = 0
    var isResolving = false

    /// The offset after the last record that the application got.
    var position: Int64 { cursor?.position ?? handedOut }

    var highWatermark: Int64? { ends?.highWatermark }

    /// Who is asked for it; nil until it is located.
    func source(now: NIODeadline) -> Int32? {
      guard leader != nil, let replica, now < replica.until else { return leader }
      return replica.broker
    }

    mutating func lose() {
      leader = nil
      replica = nil
    }
  }

  /// How far the application is in a batch that it reads record by record.
  final class RecordCursor: Sendable {
    /// The position; its complement, which is negative, once the cursor is stale. In one word, so that no record is both
    /// taken and fetched again.
    private let state: Atomic<Int64>
    /// The offset after the batch.
    private let batchEnd: Int64

    init(_ position: Int64, end: Int64) {
      state = Atomic(position)
      batchEnd = end
    }

    /// The offset after the last record that the application took.
    var position: Int64 {
      let value = state.load(ordering: .relaxed)
      return value < 0 ? ~value : value
    }

    /// The rest of the batch is not to be handed out: the partition is read elsewhere, later, or not any more.
    var isStale: Bool { state.load(ordering: .relaxed) < 0 }

    /// The application takes what is before this position. False when it must not, as the cursor is stale.
    func advance(to position: Int64) -> Bool {
      let value = state.load(ordering: .relaxed)
      return value >= 0 && state.compareExchange(expected: value, desired: position, ordering: .relaxed).exchanged
    }

    /// The application has taken the last record.
    func finish() { _ = advance(to: batchEnd) }

    func end() {
      var value = state.load(ordering: .relaxed)
      while value >= 0 {
        let (exchanged, original) = state.compareExchange(expected: value, desired: ~value, ordering: .relaxed)
        if exchanged { return }
        value = original
      }
    }
  }
}
