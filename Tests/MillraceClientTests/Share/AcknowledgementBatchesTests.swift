// How acknowledgements are listed in a request.

import Testing

@testable import MillraceClient

@Suite struct AcknowledgementBatchesTests {
  private typealias Batch = AcknowledgementBatches.Batch

  private func batches(_ types: [Int64: Acknowledgement], gaps: [ClosedRange<Int64>] = []) -> [Batch] {
    var batches = AcknowledgementBatches()
    for (offset, type) in types { batches.add(type, at: offset) }
    for gap in gaps { batches.addGap(gap) }
    return batches.batches
  }

  @Test func `neighbours of one type are said once`() {
    let all = Dictionary(uniqueKeysWithValues: (Int64(5)...104).map { ($0, Acknowledgement.accept) })
    #expect(batches(all) == [Batch(first: 5, last: 104, types: [1])])
  }

  @Test func `neighbours of several types are one batch with a type for each`() {
    #expect(
      batches([7: .accept, 8: .reject, 9: .release], gaps: [6...6]) == [Batch(first: 6, last: 9, types: [0, 1, 3, 2])])
  }

  @Test func `batches rise, and end where an offset is left out`() {
    #expect(
      batches([20: .accept, 3: .release, 4: .release], gaps: [10...12])
        == [
          Batch(first: 3, last: 4, types: [2]), Batch(first: 10, last: 12, types: [0]),
          Batch(first: 20, last: 20, types: [1]),
        ])
  }

  @Test func `a long run among others is a batch of its own`() {
    var types = Dictionary(uniqueKeysWithValues: (Int64(1)...50).map { ($0, Acknowledgement.accept) })
    types[0] = .reject
    types[51] = .release
    #expect(
      batches(types)
        == [
          Batch(first: 0, last: 0, types: [3]), Batch(first: 1, last: 50, types: [1]),
          Batch(first: 51, last: 51, types: [2]),
        ])
  }

  @Test func `a range as long as offsets go costs nothing`() {
    #expect(batches([:], gaps: [0 ... .max]) == [Batch(first: 0, last: .max, types: [0])])
  }

  @Test func `what is said last counts, and renewals can be taken out`() {
    var batches = AcknowledgementBatches()
    batches.add(.renew, at: 1)
    batches.add(.renew, at: 2)
    batches.add(.accept, at: 1)
    let renewals = batches.takeRenewals()
    #expect(renewals.types == [2: .renew])
    #expect(batches.types == [1: .accept])
    #expect(renewals.hasRenewals && !batches.hasRenewals)
  }

  @Test(arguments: 0..<20)
  func `any mixture reads back as what was said`(_ round: Int) {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    var generator = SplitMix64(seed: seed)
    var types: [Int64: Acknowledgement] = [:]
    var offset: Int64 = 0
    while types.count < 200 {
      let type = Acknowledgement.allCases.randomElement(using: &generator) ?? .accept
      for _ in 0..<Int.random(in: 1...(Bool.random(using: &generator) ? 3 : 40), using: &generator) {
        types[offset] = type
        offset += 1
      }
      if Bool.random(using: &generator) { offset += Int64.random(in: 1...5, using: &generator) }
    }
    var read: [Int64: Int8] = [:]
    var last: Int64 = -1
    for batch in batches(types) {
      #expect(batch.first > last, "seed \(seed)")
      last = batch.last
      for offset in batch.first...batch.last {
        read[offset] = batch.types.count == 1 ? batch.types[0] : batch.types[Int(offset - batch.first)]
      }
      #expect(batch.types.count == 1 || batch.types.count == Int(batch.last - batch.first) + 1, "seed \(seed)")
    }
    #expect(read == types.mapValues(\.rawValue), "seed \(seed)")
  }
}
