// Random members, acknowledgements, lost connections and crashes against a model that knows of each record who holds it,
// whether it is finished, and between which numbers its delivery count has to be.

import MillraceCoordination
import MillraceProtocol
import Testing

@testable import MillraceBroker

@Suite("Share groups against a model")
struct ShareRuntimeModelTests {
  private struct Entry {
    var holder: String?
    /// Of the current or the last delivery.
    var count: Int16 = 0
    /// What is certainly persisted.
    var certain: Int16 = 0
    /// Accepted, rejected or given up, confirmed.
    var isFinished = false
    /// Given up, maybe: nobody has confirmed it.
    var mayBeFinished = false
  }

  private struct Model {
    let limit: Int16
    var entries: [Int64: Entry] = [:]

    mutating func deliver(_ deliveries: [Delivery], to member: String) {
      for delivery in deliveries {
        let entry = entries[delivery.offset] ?? Entry()
        #expect(!entry.isFinished, "offset \(delivery.offset) came back after its end")
        #expect(entry.holder == nil, "offset \(delivery.offset) is with \(entry.holder ?? "") already")
        #expect(
          (entry.certain + 1...entry.count + 1).contains(delivery.count),
          "offset \(delivery.offset): \(delivery.count) after \(entry.certain) to \(entry.count)")
        #expect(delivery.count <= limit)
        entries[delivery.offset] = Entry(holder: member, count: delivery.count, certain: entry.certain)
      }
    }

    mutating func acknowledged(_ offset: Int64, _ type: Int8) {
      guard var entry = entries[offset] else { return }
      entry.holder = nil
      entry.certain = entry.count
      entry.isFinished = type != 2 || entry.count >= limit
      entries[offset] = entry
    }

    /// The session ended, and nobody says when that is durable.
    mutating func lost(_ member: String, isCounted: Bool) {
      for (offset, var entry) in entries where entry.holder == member {
        entry.holder = nil
        if isCounted, entry.count >= limit { entry.mayBeFinished = true }
        if !isCounted { entry.certain = min(entry.certain, entry.count - 1) }
        entries[offset] = entry
      }
    }

    mutating func crashed() {
      for offset in entries.keys { entries[offset]?.holder = nil }
    }

    func held(by member: String) -> [Int64] {
      entries.filter { $0.value.holder == member }.map(\.key).sorted()
    }
  }

  @Test(arguments: 0..<3)
  func `no record is at two members, comes back after its end, or is lost`(_: Int) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    var random = ShareSeed(state: seed)
    let broker = try GroupBroker(["group.share.delivery.count.limit": "4"])
    var topic = try await broker.makeSharedTopic()
    var model = Model(limit: 4)
    var members = (0..<4).map { ShareClient("m\($0)", of: topic, on: broker) }
    var produced: Int64 = 0
    for _ in 0..<250 {
      let index = Int.random(in: 0..<members.count, using: &random)
      let member = members[index]
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<25:
        let count = Int.random(in: 1...5, using: &random)
        try await broker.produce((0..<count).map { "\(produced + Int64($0))" }, to: topic)
        produced += Int64(count)
      case 25..<60:
        member.isRecordLimited = Bool.random(using: &random)
        let most = Int32.random(in: 1...10, using: &random)
        model.deliver(try await member.fetch(maxWaitMs: 20, maxRecords: most), to: member.id)
      case 60..<92:
        let held = model.held(by: member.id)
        guard let offset = held.randomElement(using: &random) else { continue }
        let type = [1, 1, 1, 2, 2, 3].randomElement(using: &random) ?? 1
        try #require(try await member.acknowledge(offset...offset, Int8(type)) == .none)
        model.acknowledged(offset, Int8(type))
      case 92..<95:
        guard member.epoch > 0 else { continue }
        try await member.close()
        model.lost(member.id, isCounted: false)
        member.reconnect()
      case 95..<98:
        member.connection.close()
        if member.epoch > 0 { model.lost(member.id, isCounted: true) }
        member.reconnect()
      default:
        try broker.crashAndStart()
        topic = try #require(broker.broker.topics.topic(named: "jobs"))
        members = (0..<4).map { ShareClient("m\($0)", of: topic, on: broker) }
        model.crashed()
      }
    }
    for member in members where member.epoch > 0 {
      try await member.close()
      model.lost(member.id, isCounted: false)
    }
    let last = ShareClient("last", of: topic, on: broker)
    try await eventually {
      let deliveries = try await last.fetch(maxWaitMs: 100)
      model.deliver(deliveries, to: last.id)
      for delivery in deliveries {
        try #require(try await last.acknowledge(delivery.offset...delivery.offset, 1) == .none)
        model.acknowledged(delivery.offset, 1)
      }
      return broker.sharePartition(topic)?.startOffset == produced
    }
    for offset in 0..<produced {
      let entry = model.entries[offset]
      #expect(entry?.isFinished == true || entry?.mayBeFinished == true, "offset \(offset) was lost")
    }
  }
}

private struct ShareSeed: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
