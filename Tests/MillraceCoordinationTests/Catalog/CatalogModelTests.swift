import MillraceCoordination
import MillraceProtocol
import Testing

/// Random histories against a model that is too simple to be wrong.
@Suite struct CatalogModelTests {
  private struct Model {
    struct Topic {
      var id: Uuid
      var partitions: Int
      var overrides: [String: String] = [:]
      var bornAfterFencings: Int32
    }
    var topics: [String: Topic] = [:]
    var fencings: Int32 = 0
    var isRegistered = false
  }

  private static let names = ["a", "b", "a.b", "a_b", "__consumer_offsets", "orders-1"]
  private static let configs: [(String, [String])] = [
    ("retention.ms", ["-1", "0", "100", "never"]), ("cleanup.policy", ["compact", "delete", "compact,delete", "keep"]),
    ("durability", ["commit"]),
  ]

  @Test(arguments: 0..<20)
  func `a random history and its replay agree with the model`(round: Int) {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SplitMix64(state: seed)
    var driver = CatalogDriver(seed: seed)
    var model = Model()
    for step in 0..<300 {
      let context: Comment = "seed \(seed) step \(step)"
      act(&driver, &model, &random, context)
      #expect(Set(driver.catalog.topics.values.map(\.name)) == Set(model.topics.keys), context)
      for (name, expected) in model.topics {
        guard let topic = driver.catalog.topic(named: name) else { continue }
        #expect(topic.id == expected.id && topic.partitionCount == expected.partitions, context)
        #expect((driver.catalog.configs[.topic(name)] ?? [:]) == expected.overrides, context)
        for partition in 0..<topic.partitionCount where expected.bornAfterFencings >= 0 {
          let epoch = driver.catalog.leaderEpoch(topic, partition)
          #expect(epoch <= model.fencings - expected.bornAfterFencings, context)
          if partition == 0 { #expect(epoch == model.fencings - expected.bornAfterFencings, context) }
        }
      }
      guard step % 50 == 49 else { continue }
      #expect(driver.replayed() == driver.catalog, context)
      var copy = Catalog(settings: driver.catalog.settings)
      for record in driver.catalog.snapshotRecords() { copy.apply(record, at: 0) }
      #expect(copy.snapshotRecords() == driver.catalog.snapshotRecords(), context)
      #expect(copy.topics.keys == driver.catalog.topics.keys, context)
    }
  }

  private func act(
    _ driver: inout CatalogDriver, _ model: inout Model, _ random: inout SplitMix64, _ context: Comment
  ) {
    let name = Self.names.randomElement(using: &random)!
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<4:
      let count = Int32.random(in: -2...4, using: &random)
      let factor = Int16([-1, 1, 1, 2].randomElement(using: &random)!)
      let result = driver.create(.init(name: name, numPartitions: count, replicationFactor: factor))[0]
      let other = name == "a.b" ? "a_b" : name == "a_b" ? "a.b" : nil
      let mayExist = model.topics[name] == nil && (other.map { model.topics[$0] == nil } ?? true)
      let isAllowed = mayExist && factor != 2 && (count == -1 || count >= 1)
      #expect((result.errorCode == 0) == isAllowed, context)
      if isAllowed {
        model.topics[name] = .init(
          id: result.topicId, partitions: count == -1 ? 1 : Int(count), bornAfterFencings: model.fencings)
      }
    case 4, 5:
      let isAllowed = model.topics[name] != nil && name != "__consumer_offsets"
      #expect((driver.delete(name)[0].errorCode == 0) == isAllowed, context)
      if isAllowed { model.topics[name] = nil }
    case 6:
      let count = Int32.random(in: 0...6, using: &random)
      let request = CreatePartitionsRequest(topics: [.init(name: name, count: count, assignments: nil)])
      let code = driver.perform(driver.catalog.decide(request)).results[0].errorCode
      let isAllowed = model.topics[name].map { Int(count) > $0.partitions } ?? false
      #expect((code == 0) == isAllowed, context)
      if isAllowed { model.topics[name]!.partitions = Int(count) }
    case 7, 8:
      let (key, values) = Self.configs.randomElement(using: &random)!
      let value = values.randomElement(using: &random)!
      let isDeletion = Bool.random(using: &random)
      let result = driver.alter(.topic(name), [(key, isDeletion ? .delete : .set, isDeletion ? nil : value)])
      let isAllowed = model.topics[name] != nil && (isDeletion || !["never", "keep"].contains(value))
      #expect((result.errorCode == 0) == isAllowed, context)
      if isAllowed { model.topics[name]!.overrides[key] = isDeletion ? nil : value }
    default:
      let isClean = Bool.random(using: &random)
      driver.start(clean: isClean)
      if !isClean && model.isRegistered { model.fencings += 1 }
      model.isRegistered = true
    }
  }
}
