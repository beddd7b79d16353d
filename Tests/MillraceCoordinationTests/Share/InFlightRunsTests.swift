// The ordered runs against the plainest model: one entry for each offset.

import Testing

@testable import MillraceCoordination

@Suite struct InFlightRunsTests {
  @Test func `random changes leave what an array of single records would have`() {
    let seed = UInt64.random(in: .min ... .max)
    print("InFlightRuns seed \(seed)")
    var random = Jitter(state: seed)
    func pick(_ range: ClosedRange<Int64>) -> Int64 {
      range.lowerBound + Int64(random.next() * Double(range.upperBound - range.lowerBound + 1))
    }
    var runs = InFlightRuns()
    var model: [Int64: InFlightRun.Phase] = [:]
    var (start, next): (Int64, Int64) = (0, 0)
    let phases: [InFlightRun.Phase] = [
      .available, .waiting(untilMs: 5), .acquired(memberId: "a", untilMs: 9), .archiving(.rejected), .finished,
    ]
    for step in 0..<6_000 {
      switch pick(0...9) {
      case 0 where next - start < 3_000:
        let run = InFlightRun(next...(next + pick(0...60)), phases[Int(pick(0...4))])
        for offset in run.offsets { model[offset] = run.phase }
        runs.append(run)
        next = run.lastOffset + 1
      case 1 where step % 5 == 0:
        let low = pick(start...max(start, next))
        runs.removeAll(below: low)
        for offset in start..<max(start, low) { model[offset] = nil }
        start = max(start, low)
      default:
        let first = pick((start - 10)...(next + 10))
        let range = first...(first + pick(0...12))
        let phase = phases[Int(pick(0...4))]
        runs.change(range) { $0.phase = phase }
        for offset in range where model[offset] != nil { model[offset] = phase }
      }
      guard step % 50 == 0 || step > 5_900 else { continue }
      check(runs, model, start, next)
    }
    check(runs, model, start, next)
  }

  private func check(
    _ runs: InFlightRuns, _ model: [Int64: InFlightRun.Phase], _ start: Int64, _ next: Int64
  ) {
    var expected = start
    var tally = InFlightTally()
    var last: InFlightRun?
    var position = runs.startPosition
    while let at = position {
      let run = runs[at]
      #expect(run.firstOffset == expected)
      #expect(last.map { $0.continues(in: run) } != true)
      #expect(run.offsets.allSatisfy { model[$0] == run.phase })
      expected = run.lastOffset + 1
      tally.add(run)
      last = run
      position = runs.position(after: at)
    }
    #expect(expected == next)
    #expect(tally == runs.tally)
    #expect(runs.firstAvailable?.firstOffset == model.filter { $0.value == .available }.keys.min())
    let third = (next - start) / 3
    let range = (start + third)...max(start + third, next - third)
    let found = runs.available(in: range, records: .max).flatMap { Array($0.offsets.clamped(to: range)) }
    #expect(found == model.keys.filter { range.contains($0) && model[$0] == .available }.sorted())
  }
}
