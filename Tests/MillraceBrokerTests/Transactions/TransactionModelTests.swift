import MillraceProtocol
import Testing

@testable import MillraceBroker

/// Several producers at once, of both transaction versions, that commit, abort, go silent and come back, over crashes of
/// the broker: what a reader sees is what was committed, whole.
@Suite struct `Transactions under load` {
  private struct Outcome {
    var committed: Set<String> = []
    var aborted: Set<String> = []
  }

  @Test func `every transaction is seen whole or not at all, over crashes`() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = LoadSeed(state: seed)
    let broker = try GroupBroker([
      "transaction.state.log.num.partitions": "3", "add.partitions.to.txn.retry.backoff.max.ms": "5000",
      "transaction.abort.timed.out.transaction.cleanup.interval.ms": "50",
    ])
    let topics = ["orders", "invoices", "letters"]
    for topic in topics { try await broker.makeTopic(topic) }
    var outcome = Outcome()
    for life in 0..<6 {
      var clients: [TransactionClient] = []
      for index in 0..<4 { clients.append(try await TransactionClient.initialized(broker, "tx\(index)")) }
      for round in 0..<12 {
        for index in clients.indices {
          try await run(
            &clients[index], "\(life)-\(round)-\(index)", topics, isRaising: index.isMultiple(of: 2), &outcome, &random)
        }
      }
      // Everybody leaves something open.
      for index in clients.indices where Bool.random(using: &random) {
        let name = "\(life)-open-\(index)"
        outcome.aborted.insert(name)
        var sequences = Sequences(&clients[index])
        _ = try await sequences.produce(name, to: topics[0], &clients[index], isRaising: true)
      }
      if life.isMultiple(of: 2) { try broker.crashAndStart() } else { try broker.restart() }
    }
    for index in 0..<4 { _ = try await TransactionClient.initialized(broker, "tx\(index)") }
    var seen: [String: Set<String>] = [:]
    for topic in topics {
      try await eventually {
        let read = try await broker.read(topic)
        return read.lastStableOffset == read.highWatermark
      }
      for value in try await broker.read(topic).values {
        #expect(seen[value, default: []].insert(topic).inserted, "\(value) twice in \(topic), seed \(seed)")
      }
    }
    #expect(Set(seen.keys).isSuperset(of: outcome.committed), "seed \(seed)")
    #expect(Set(seen.keys).isDisjoint(with: outcome.aborted), "seed \(seed)")
    #expect(seen.allSatisfy { $0.value.count == topics.count }, "a transaction is seen in part, seed \(seed)")
    #expect(outcome.committed.count > 50 && outcome.aborted.count > 20, "seed \(seed)")
  }

  /// The next sequence number in each topic.
  private struct Sequences {
    var epoch: Int16
    var next: [String: Int32] = [:]

    init(_ client: inout TransactionClient) { epoch = client.epoch }

    mutating func produce(
      _ value: String, to topic: String, _ client: inout TransactionClient, isRaising: Bool
    ) async throws -> ErrorCode {
      client.sequence = next[topic, default: 0]
      let error = try await client.produce(value, to: topic, version: isRaising ? 12 : 11)
      if error == .none { next[topic, default: 0] += 1 }
      return error
    }
  }

  private func run(
    _ client: inout TransactionClient, _ name: String, _ topics: [String], isRaising: Bool, _ outcome: inout Outcome,
    _ random: inout LoadSeed
  ) async throws {
    // Older producers keep their epoch and so their sequence: a new epoch for each transaction keeps this simple.
    if !isRaising { try await client.initialize() }
    var sequences = Sequences(&client)
    for topic in topics {
      if !isRaising { try #require(try await client.addPartition(topic) == .none) }
      try #require(try await sequences.produce(name, to: topic, &client, isRaising: isRaising) == .none)
    }
    let commits = Int.random(in: 0..<3, using: &random) > 0
    let error = try await client.end(commit: commits, version: isRaising ? 5 : 4)
    try #require(error == .none)
    if commits { outcome.committed.insert(name) } else { outcome.aborted.insert(name) }
  }
}

private struct LoadSeed: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
