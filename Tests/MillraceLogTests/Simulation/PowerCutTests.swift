import Foundation
import Testing

@testable import MillraceLog

/// What is acknowledged survives a power cut at any moment. `MILLRACE_SIMULATION=full` runs tens of thousands of
/// recoveries, `MILLRACE_SEED` repeats a run.
@Suite struct PowerCutTests {
  static let isFull = ProcessInfo.processInfo.environment["MILLRACE_SIMULATION"] == "full"
  static let seed =
    ProcessInfo.processInfo.environment["MILLRACE_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)

  enum Workload: CaseIterable {
    case producers, rolls, checkpoints, partitions, manyPartitions, transactions, deletedRecords, cleanStops

    var steps: [Simulation.Step] {
      let few: [Simulation.Step] = [.append(0, .idempotent), .append(0, .plain), .append(0, .idempotent), .commit]
      return switch self {
      case .producers: [.create(0)] + few + [.duplicate(0)] + few + [.append(0, .idempotent)]
      case .rolls: [.create(0)] + few + [.roll(0)] + few + [.roll(0), .append(0, .idempotent), .commit] + few
      case .checkpoints:
        [.create(0)] + few + [.checkpoint] + few + [.roll(0), .checkpoint] + few + [.append(0, .plain)]
      case .partitions:
        [.create(0)] + few + [.checkpoint, .create(1), .append(1, .idempotent), .commit, .delete(0), .maintain]
          + [.create(0)] + few + [.maintain, .maintain, .checkpoint, .append(0, .plain)]
      case .manyPartitions:
        [.createMany([0, 1, 2])] + (0..<3).map { .append($0, .idempotent) }
          + [.commit] + (0..<3).map { .append($0, .plain) } + [.commit, .checkpoint, .append(1, .idempotent)]
      case .transactions:
        [.create(0), .append(0, .transactional), .append(0, .transactional), .append(0, .idempotent), .commit]
          + [.append(0, .abort), .commit, .checkpoint, .append(0, .transactional), .roll(0)]
          + [.append(0, .abort), .append(0, .commit), .commit, .append(0, .transactional), .checkpoint]
          + [.append(0, .abort), .append(0, .commit), .commit]
      case .deletedRecords:
        [.create(0)] + few + [.roll(0)] + few + [.roll(0)] + few + [.deleteRecords(0), .retain, .checkpoint]
          + [
            .deleteRecords(0), .retain, .maintain, .maintain, .append(0, .idempotent), .commit, .deleteRecords(0),
            .checkpoint,
          ]
      case .cleanStops:
        [.create(0), .create(1)] + few + [.append(0, .transactional), .commit, .restart] + few
          + [.append(0, .abort), .restart, .append(1, .plain), .commit, .restart, .delete(1), .append(0, .plain)]
      }
    }
  }

  /// A workload that has run, with the disk after each of its calls.
  private func run(
    _ steps: [Simulation.Step], seed: UInt64, defect: Simulation.Defect = .none, isBuffered: Bool = false
  ) throws -> Simulation {
    let simulation = Simulation(seed: seed, defect: defect, isBuffered: isBuffered)
    try simulation.open()
    simulation.record()
    try simulation.run(steps)
    simulation.end()
    return simulation
  }

  @Test(arguments: Workload.allCases)
  func `whatever call is the last before the power is cut, nothing acknowledged is lost`(workload: Workload) throws {
    var recoveries = 0
    for round in 0..<(Self.isFull ? 4 : 1) {
      let seed = Self.seed &+ UInt64(round)
      let life = try run(workload.steps, seed: seed)
      #expect(life.violations == [])
      // Here some of the moments; in the full run every one.
      let stride = Self.isFull ? 1 : max(1, life.history.count / 12)
      for (number, moment) in life.history.enumerated() where (number + round) % stride == 0 {
        for survival in SimulatedDisk.Survival.allCases {
          let after = Simulation(after: moment, survival, seed: seed &+ UInt64(number), of: life)
          after.end()
          recoveries += 1
          #expect(after.violations == [], "\(workload), call \(number), \(survival), seed \(seed)")
          if !after.violations.isEmpty { return }
        }
      }
    }
    print("\(workload): \(recoveries) recoveries, seed \(Self.seed)")
  }

  @Test(arguments: [false, true])
  func `long lives with several power cuts lose nothing acknowledged, and buffered ones only suffixes`(
    isBuffered: Bool
  ) throws {
    var recoveries = 0
    for round in 0..<(Self.isFull ? 150 : 3) {
      let seed = Self.seed &+ UInt64(round)
      var life = Simulation(seed: seed, isBuffered: isBuffered)
      try life.open()
      for generation in 0..<4 {
        life.record()
        try life.run(generation == 0 ? [.create(0), .create(1)] : [])
        try life.run(life.randomSteps(60))
        life.end()
        #expect(life.violations == [], "seed \(seed), generation \(generation)")
        guard life.violations.isEmpty else { return }
        var random = SeededGenerator(seed: seed &+ UInt64(generation))
        for _ in 0..<(Self.isFull ? 30 : 8) {
          let number = Int.random(in: 0..<life.history.count, using: &random)
          let survival = SimulatedDisk.Survival.allCases.randomElement(using: &random)!
          let cut = UInt64.random(in: 0...UInt64.max, using: &random)
          let after = Simulation(after: life.history[number], survival, seed: cut, of: life)
          after.end()
          recoveries += 1
          #expect(after.violations == [], "seed \(seed), generation \(generation), call \(number), \(survival)")
          if !after.violations.isEmpty { return }
        }
        // One of them goes on; the calls of its recovery are among those at which the power can be cut.
        let moment = life.history[Int.random(in: 0..<life.history.count, using: &random)]
        let survival = SimulatedDisk.Survival.allCases.randomElement(using: &random)!
        life = Simulation(
          after: moment, survival, seed: seed &+ UInt64(generation) &* 7919, records: true, of: life)
        #expect(life.violations == [], "seed \(seed), generation \(generation), \(survival)")
        guard life.violations.isEmpty else { return }
      }
      life.end()
    }
    print("buffered \(isBuffered): \(recoveries) recoveries, seed \(Self.seed)")
  }

  @Test(arguments: [Simulation.Defect.noFileFlush, .noDirectoryFlush, .acknowledgesBeforeFlush])
  func `a broken build is found out`(defect: Simulation.Defect) throws {
    var found = 0
    for workload in [Workload.producers, .rolls, .partitions] {
      let life = try run(workload.steps, seed: Self.seed, defect: defect)
      for (number, moment) in life.history.enumerated() {
        let after = Simulation(
          after: moment, number % 2 == 0 ? .nothing : .arbitrary, seed: UInt64(number), of: life)
        after.end()
        if !after.violations.isEmpty { found += 1 }
      }
    }
    #expect(found > 0, "seed \(Self.seed)")
  }
}
