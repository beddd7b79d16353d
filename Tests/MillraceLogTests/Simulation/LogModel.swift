// What a partition should hold, as its clients see it.

import MillraceRecords

@testable import MillraceLog

struct LogModel {
  struct Batch {
    var baseOffset: Int64
    var values: [String]
    var producerId: Int64 = -1
    var sequence: Int32 = -1
    var isTransactional = false
    /// Nil for data.
    var commits: Bool?
    var leaderEpoch: Int32
    var bytes: [UInt8] = []

    var isControl: Bool { commits != nil }
    var lastOffset: Int64 { baseOffset + Int64(max(1, values.count)) - 1 }
  }

  enum Life { case creating, created, deleting, deleted }

  var topicId: TopicID
  var config: LogConfig
  var life = Life.creating
  /// In order, with the one that is being appended.
  var batches: [Batch] = []
  /// Everything before it was promised to somebody.
  var acknowledged: Int64 = 0
  /// The largest start that anybody asked for.
  var logStart: Int64 = 0

  var end: Int64 { batches.last.map { $0.lastOffset + 1 } ?? 0 }

  static let epochMs: Int64 = 1_600_000_000_000
  static func timestamp(_ offset: Int64) -> Int64 { epochMs + offset * 10 }

  func nextSequence(_ producerId: Int64) -> Int32 {
    guard let last = batches.last(where: { $0.producerId == producerId && !$0.isControl }) else { return 0 }
    return last.sequence + Int32(last.values.count)
  }

  /// The first offsets of the transactions that are open at the end, by producer.
  var openTransactions: [Int64: Int64] {
    var open: [Int64: Int64] = [:]
    for batch in batches where batch.isTransactional {
      if batch.isControl {
        open[batch.producerId] = nil
      } else if open[batch.producerId] == nil {
        open[batch.producerId] = batch.baseOffset
      }
    }
    return open
  }

  var lastStableOffset: Int64 { openTransactions.values.min() ?? end }

  /// What a `read_committed` consumer is to see from `start` on.
  func committed(from start: Int64) -> [String] {
    var values: [(offset: Int64, value: String)] = []
    var pending: [Int64: [(Int64, String)]] = [:]
    for batch in batches {
      if let commits = batch.commits {
        let outcome = pending.removeValue(forKey: batch.producerId) ?? []
        if commits { values += outcome }
        continue
      }
      let own = batch.values.enumerated().map { (batch.baseOffset + Int64($0.offset), $0.element) }
      if batch.isTransactional { pending[batch.producerId, default: []] += own } else { values += own }
    }
    let limit = lastStableOffset
    return values.filter { $0.offset >= start && $0.offset < limit }.sorted { $0.offset < $1.offset }.map(\.value)
  }

  /// The batches that a crash left; the others were never promised.
  mutating func cut(to end: Int64) { batches.removeAll { $0.lastOffset >= end } }
}
