import NIOCore
import Testing

@testable import MillraceClient

@Suite("The session of a connection")
struct SessionGateTests {
  private func at(_ milliseconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .milliseconds(milliseconds) }

  @Test func `without a limit everything passes`() {
    var gate = SessionGate<Int>()
    let passages = [gate.admit(1, now: at(0)), gate.admit(2, now: .distantFuture)]
    #expect(passages == [.pass, .pass])
  }

  @Test func `the first request after the time begins, the others wait, and all go in their order`() {
    var gate = SessionGate<Int>()
    let before = gate.open(until: at(10))
    let passages = [
      gate.admit(1, now: at(9)), gate.admit(2, now: at(10)), gate.admit(3, now: at(10)), gate.admit(4, now: at(11)),
    ]
    let held = gate.open(until: at(20))
    let after = gate.admit(5, now: at(19))
    let again = gate.admit(6, now: at(20))
    #expect(before.isEmpty)
    #expect(passages == [.pass, .begin, .wait, .wait])
    #expect(held == [2, 3, 4])
    #expect(after == .pass)
    #expect(again == .begin)
  }

  @Test func `a session is renewed in the last part of its life`() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    for _ in 0..<1000 {
      let due = SessionGate<Int>.renewal(of: .milliseconds(1000), from: at(5), using: &generator)
      #expect(due >= at(5 + 850) && due <= at(5 + 950), "seed \(seed)")
    }
    let latest = SessionGate<Int>.renewal(of: .milliseconds(Int64.max), from: at(0), using: &generator)
    #expect(latest > at(0))
  }
}
