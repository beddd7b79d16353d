// Combining batches against the plainest model: one entry for each offset.

import Testing

@testable import MillraceCoordination

@Suite struct ShareStateBatchesTests {
  @Test func `random writes leave what single records would have`() {
    let seed = UInt64.random(in: .min ... .max)
    print("ShareStateBatches seed \(seed)")
    var random = Jitter(state: seed)
    func pick(_ range: ClosedRange<Int64>) -> Int64 {
      range.lowerBound + Int64(random.next() * Double(range.upperBound - range.lowerBound + 1))
    }
    let states: [ShareRecordState] = [.available, .acknowledged, .archiving, .archived]
    for _ in 0..<60 {
      var batches: [ShareStateBatch] = []
      var model: [Int64: (Int16, Int8)] = [:]
      var start: Int64 = 0
      for _ in 0..<40 {
        let newer = (0..<pick(0...4)).map { _ in
          let first = start + pick(0...120)
          return ShareStateBatch(first, first + pick(0...30), states[Int(pick(0...3))], Int16(pick(0...4)))
        }
        start += pick(0...3)
        batches.combine(with: newer, startOffset: start)
        for batch in newer {
          for offset in batch.firstOffset...batch.lastOffset {
            let entry = (batch.deliveryCount, batch.state.rawValue)
            if let known = model[offset], known > entry { continue }
            model[offset] = entry
          }
        }
        model = model.filter { $0.key >= start }
        var count = 0
        for (index, batch) in batches.enumerated() {
          #expect(batch.firstOffset <= batch.lastOffset && batch.firstOffset >= start)
          if index > 0 { #expect(batches[index - 1].lastOffset < batch.firstOffset) }
          for offset in batch.firstOffset...batch.lastOffset {
            #expect(model[offset].map { $0 == (batch.deliveryCount, batch.state.rawValue) } == true)
            count += 1
          }
        }
        #expect(count == model.count)
      }
    }
  }

  @Test func `neighbours that are alike become one batch`() {
    let joined = [ShareStateBatch(0, 4, .acknowledged, 1), ShareStateBatch(10, 14, .acknowledged, 1)]
      .combined(with: [ShareStateBatch(5, 9, .acknowledged, 1)], startOffset: 0)
    #expect(joined == [ShareStateBatch(0, 14, .acknowledged, 1)])
  }
}
