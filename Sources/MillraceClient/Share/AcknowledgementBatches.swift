// Acknowledgements of one partition on their way to the broker, and how a request lists them: ranges in rising order,
// each with one type for all of its offsets or one for each.

import MillraceProtocol

struct AcknowledgementBatches: Sendable, Equatable {
  struct Batch: Equatable, Sendable {
    var first: Int64
    var last: Int64
    var types: [Int8]
  }

  /// An offset that was acquired and has no record for an application: a marker, or something that was compacted away.
  private static let gap: Int8 = 0
  /// A longer run of one type is cheaper as a batch of its own than as a part of one.
  private static let longestListedRun: Int64 = 16

  private(set) var types: [Int64: Acknowledgement] = [:]
  /// What is said of many offsets at once, without the application.
  private var ranges: [Batch] = []

  var isEmpty: Bool { types.isEmpty && ranges.isEmpty }
  var hasRenewals: Bool { types.values.contains(.renew) }

  /// What was said last of an offset counts.
  mutating func add(_ type: Acknowledgement, at offset: Int64) { types[offset] = type }

  mutating func addGap(_ range: ClosedRange<Int64>) {
    ranges.append(Batch(first: range.lowerBound, last: range.upperBound, types: [Self.gap]))
  }

  mutating func release(_ range: ClosedRange<Int64>) {
    ranges.append(
      Batch(first: range.lowerBound, last: range.upperBound, types: [Acknowledgement.release.rawValue]))
  }

  /// Takes the renewals out.
  @discardableResult
  mutating func takeRenewals() -> AcknowledgementBatches {
    var renewals = AcknowledgementBatches()
    renewals.types = types.filter { $0.value == .renew }
    types = types.filter { $0.value != .renew }
    return renewals
  }

  /// As a request has them.
  var batches: [Batch] {
    var runs = ranges
    for (offset, type) in types { runs.append(Batch(first: offset, last: offset, types: [type.rawValue])) }
    runs.sort { $0.first < $1.first }
    return Self.joined(Self.runs(runs))
  }

  /// Neighbours of one type together.
  private static func runs(_ sorted: [Batch]) -> [Batch] {
    var runs: [Batch] = []
    for run in sorted {
      if let last = runs.last, last.types == run.types, last.last < .max, last.last + 1 == run.first {
        runs[runs.count - 1].last = run.last
      } else {
        runs.append(run)
      }
    }
    return runs
  }

  /// Neighbouring short runs in one batch with a type for each offset.
  private static func joined(_ runs: [Batch]) -> [Batch] {
    var batches: [Batch] = []
    var isOpen = false
    for run in runs {
      let isShort = run.last - run.first < longestListedRun
      if isShort, isOpen, let last = batches.last, last.last < .max, last.last + 1 == run.first {
        batches[batches.count - 1].last = run.last
        batches[batches.count - 1].types += types(of: run)
      } else {
        batches.append(isShort ? Batch(first: run.first, last: run.last, types: types(of: run)) : run)
        isOpen = isShort
      }
    }
    // One type for all needs to be said once.
    return batches.map { batch in
      guard let first = batch.types.first, batch.types.allSatisfy({ $0 == first }) else { return batch }
      return Batch(first: batch.first, last: batch.last, types: [first])
    }
  }

  private static func types(of run: Batch) -> [Int8] {
    Array(repeating: run.types[0], count: Int(run.last - run.first) + 1)
  }
}
