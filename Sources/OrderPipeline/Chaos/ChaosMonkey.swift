// Makes things go wrong at random while the pipeline runs: services die, and the broker's connections end, with requests
// that were done and whose answers were lost.

import MillraceTesting
import ServiceLifecycle
import Synchronization

final class ChaosMonkey: Service {
  struct Deeds: Sendable {
    var killed = 0
    var faults = 0
  }

  private let chaos: Chaos
  private let victims: [Supervisor]
  /// What goes wrong between clients and an embedded broker; nil for a cluster elsewhere.
  private let network: NetworkFaults?
  private let generator: Mutex<SplitMix64>
  private let counted = Mutex(Deeds())

  init(_ chaos: Chaos, seed: UInt64, victims: [Supervisor], network: NetworkFaults?) {
    self.chaos = chaos
    self.victims = victims
    self.network = network
    generator = Mutex(SplitMix64(state: seed))
  }

  var deeds: Deeds { counted.withLock { $0 } }

  func run() async {
    await cancelWhenGracefulShutdown {
      for number in 1... {
        // From half the interval to half as much again.
        let pause = self.chaos.interval * (0.5 + Double(self.random(0...1000)) / 1000)
        guard number <= self.chaos.strikes ?? .max, (try? await Task.sleep(for: pause)) != nil else { break }
        self.strike()
      }
      self.network?.heal()
    }
  }

  private func strike() {
    if let network, random(0...1) == 0 {
      counted.withLock { $0.faults += 1 }
      disturb(network)
    } else {
      counted.withLock { $0.killed += 1 }
      victims[random(0...victims.count - 1)].kill(random(0...1) == 0 ? .cancelled : .usurped)
    }
  }

  private func disturb(_ network: NetworkFaults) {
    switch random(0...5) {
    // All that are connected, more or less.
    case 0: network.inject(.disconnect, times: random(1...20))
    case 1: network.inject(.lostAnswer, times: random(1...5))
    case 2: network.inject(.lostAnswer, into: .produce, times: random(1...5))
    // The outcome of a transaction that nobody hears of.
    case 3: network.inject(.lostAnswer, into: .endTxn, times: random(1...3))
    case 4: network.inject(.lostAnswer, into: .txnOffsetCommit, times: random(1...3))
    default: network.inject(.delay(.milliseconds(random(5...50))), times: random(1...50))
    }
  }

  private func random(_ range: ClosedRange<Int>) -> Int {
    generator.withLock { Int.random(in: range, using: &$0) }
  }
}
