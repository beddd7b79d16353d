// The runs of a share-partition in the order of their offsets, without a gap between them.
//
// Kept in blocks, so that finding, splitting and joining costs the same with ten runs and with ten thousand: a binary
// search over the blocks, one within a block, and a shift within a block.
//
// Invariants: no block is empty or above `Block.limit`; each run begins where the one before it ends; no two neighbours
// could be one run (except within `change`); the tallies are those of all runs.

import Collections

struct InFlightRuns: Sendable, Equatable {
  private struct Block: Sendable, Equatable {
    static let limit = 128

    var runs: ContiguousArray<InFlightRun>
    /// How many of the runs are available: the others are passed over together.
    var available: Int

    init(_ runs: ContiguousArray<InFlightRun>) {
      self.runs = runs
      available = runs.count { $0.phase == .available }
    }
  }

  private var blocks: Deque<Block> = []
  private(set) var tally = InFlightTally()

  struct Position: Equatable {
    fileprivate var block: Int
    fileprivate var index: Int
  }

  var isEmpty: Bool { blocks.isEmpty }
  var first: InFlightRun? { blocks.first?.runs.first }
  var last: InFlightRun? { blocks.last?.runs.last }
  var startPosition: Position? { isEmpty ? nil : Position(block: 0, index: 0) }

  subscript(position: Position) -> InFlightRun { blocks[position.block].runs[position.index] }

  // MARK: Finding

  /// Where the run that has this offset is.
  func position(of offset: Int64) -> Position? {
    guard let first, let last, first.firstOffset <= offset, offset <= last.lastOffset else { return nil }
    let block = Self.lastIndex(in: 0..<blocks.count) { blocks[$0].runs[0].firstOffset <= offset }
    let index = Self.lastIndex(in: blocks[block].runs.indices) { blocks[block].runs[$0].firstOffset <= offset }
    return Position(block: block, index: index)
  }

  /// The last index for which the condition holds, which holds for the first and for none after one where it does not.
  private static func lastIndex(in range: Range<Int>, where holds: (Int) -> Bool) -> Int {
    var (low, high) = (range.lowerBound, range.upperBound)
    while high - low > 1 {
      let middle = (low + high) / 2
      if holds(middle) { low = middle } else { high = middle }
    }
    return low
  }

  func position(after position: Position) -> Position? {
    if position.index + 1 < blocks[position.block].runs.count {
      return Position(block: position.block, index: position.index + 1)
    }
    return position.block + 1 < blocks.count ? Position(block: position.block + 1, index: 0) : nil
  }

  private func position(before position: Position) -> Position? {
    if position.index > 0 { return Position(block: position.block, index: position.index - 1) }
    guard position.block > 0 else { return nil }
    return Position(block: position.block - 1, index: blocks[position.block - 1].runs.count - 1)
  }

  var firstAvailable: InFlightRun? {
    guard tally.available > 0 else { return nil }
    let block = blocks.first { $0.available > 0 }
    return block?.runs.first { $0.phase == .available }
  }

  /// The available runs that have offsets in the range, whole, in order, as many as it takes for so many records.
  func available(in range: ClosedRange<Int64>, records: Int) -> [InFlightRun] {
    guard tally.available > 0, let first, range.upperBound >= first.firstOffset,
      let start = position(of: max(range.lowerBound, first.firstOffset))
    else { return [] }
    var found: [InFlightRun] = []
    var left = records
    for block in blocks[start.block...] where block.available > 0 {
      for run in block.runs where run.phase == .available && run.lastOffset >= range.lowerBound {
        guard run.firstOffset <= range.upperBound, left > 0 else { return found }
        found.append(run)
        let offsets = run.offsets.clamped(to: range)
        left -= Int(offsets.upperBound - offsets.lowerBound + 1)
      }
      if let last = block.runs.last, last.lastOffset >= range.upperBound { break }
    }
    return found
  }

  /// The runs that have offsets in the range, whole, in order, until `body` says false.
  func forEach(in range: ClosedRange<Int64>, _ body: (InFlightRun) -> Bool) {
    guard let first, range.upperBound >= first.firstOffset else { return }
    var next = position(of: max(range.lowerBound, first.firstOffset))
    while let position = next, self[position].firstOffset <= range.upperBound {
      guard body(self[position]) else { return }
      next = self.position(after: position)
    }
  }

  // MARK: Changing

  /// Every change of a run is one of these: it leaves the tallies, is changed, and enters them again.
  private mutating func alter(_ position: Position, _ body: (inout InFlightRun) -> Void) {
    count(self[position], in: position.block, -1)
    body(&blocks[position.block].runs[position.index])
    count(self[position], in: position.block, 1)
  }

  private mutating func count(_ run: InFlightRun, in block: Int, _ sign: Int) {
    tally.add(run, sign)
    if run.phase == .available { blocks[block].available += sign }
  }

  /// Adds a run that begins where the last one ends.
  mutating func append(_ run: InFlightRun) {
    let block = blocks.count - 1
    if let last {
      precondition(last.lastOffset + 1 == run.firstOffset, "runs without a gap")
      if last.continues(in: run) {
        alter(Position(block: block, index: blocks[block].runs.count - 1)) { $0.lastOffset = run.lastOffset }
        return
      }
    }
    if let last = blocks.last, last.runs.count < Block.limit {
      blocks[block].runs.append(run)
      count(run, in: block, 1)
    } else {
      blocks.append(Block([run]))
      tally.add(run)
    }
  }

  /// Removes what is below the offset.
  mutating func removeAll(below offset: Int64) {
    while let block = blocks.first, let end = block.runs.last, end.lastOffset < offset {
      for run in block.runs { tally.remove(run) }
      blocks.removeFirst()
    }
    guard let block = blocks.first, block.runs[0].firstOffset < offset else { return }
    let whole = block.runs.firstIndex { $0.lastOffset >= offset } ?? 0
    for run in block.runs[..<whole] { count(run, in: 0, -1) }
    blocks[0].runs.removeSubrange(..<whole)
    if blocks[0].runs[0].firstOffset < offset { alter(Position(block: 0, index: 0)) { $0.firstOffset = offset } }
  }

  /// Gives every run of the range to `body`, cut to the range, to change anything but its offsets. Offsets outside of
  /// all runs are passed over.
  mutating func change(_ range: ClosedRange<Int64>, _ body: (inout InFlightRun) -> Void) {
    guard let first, let last else { return }
    let low = max(range.lowerBound, first.firstOffset)
    let high = min(range.upperBound, last.lastOffset)
    guard low <= high else { return }
    split(at: low)
    split(at: high + 1)
    var next = position(of: low)
    while let position = next, self[position].firstOffset <= high {
      alter(position, body)
      next = self.position(after: position)
    }
    join(around: low...high)
  }

  private mutating func split(at offset: Int64) {
    guard let position = position(of: offset), self[position].firstOffset < offset else { return }
    var tail = self[position]
    tail.firstOffset = offset
    alter(position) { $0.lastOffset = offset - 1 }
    blocks[position.block].runs.insert(tail, at: position.index + 1)
    count(tail, in: position.block, 1)
    let runs = blocks[position.block].runs
    if runs.count > Block.limit {
      blocks[position.block] = Block(ContiguousArray(runs[..<(runs.count / 2)]))
      blocks.insert(Block(ContiguousArray(runs[(runs.count / 2)...])), at: position.block + 1)
    }
  }

  /// Joins what can be one run, from the run before the range to the run after it.
  private mutating func join(around range: ClosedRange<Int64>) {
    guard var current = position(of: range.lowerBound) else { return }
    if let before = position(before: current) { current = before }
    while let next = position(after: current), self[current].firstOffset <= range.upperBound {
      guard self[current].continues(in: self[next]) else {
        current = next
        continue
      }
      let absorbed = self[next]
      count(absorbed, in: next.block, -1)
      blocks[next.block].runs.remove(at: next.index)
      alter(current) { $0.lastOffset = absorbed.lastOffset }
      if blocks[next.block].runs.isEmpty {
        blocks.remove(at: next.block)
      } else if next.block > current.block {
        mergeBlock(next.block, into: current.block)
      }
    }
  }

  private mutating func mergeBlock(_ upper: Int, into lower: Int) {
    guard blocks[lower].runs.count + blocks[upper].runs.count <= Block.limit / 2 else { return }
    blocks[lower].runs.append(contentsOf: blocks[upper].runs)
    blocks[lower].available += blocks[upper].available
    blocks.remove(at: upper)
  }
}
