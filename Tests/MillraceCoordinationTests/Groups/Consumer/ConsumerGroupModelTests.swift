// Random consumers under random treatment: they join, leave, die, lose answers, change what they subscribe to; classic
// members come and go among them; topics are born, grow and die; time passes; the coordinator restarts. After every step
// no partition is at two members, neither by the coordinator's books nor by what the consumers believe; and in the end,
// when all is quiet, everything is assigned, and one more member or one less moves only what it must.

import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct ConsumerGroupModelTests {
  @Test(arguments: (1...30).map { UInt64($0) } + [UInt64.random(in: 1_000...UInt64.max)])
  func `no partition is read by two, and none is left out`(seed: UInt64) throws {
    var world = ConsumerWorld(seed: seed)
    for step in 0..<400 {
      world.step()
      try world.check()
      if step % 20 == 0 { try world.stage.checkConsumerGroups() }
    }
    try world.windDown()
  }
}

private struct ConsumerWorld {
  static let topicNames = ["t0", "t1", "t2"]

  let seed: UInt64
  var stage: GroupStage
  var random: SeededGenerator
  var consumers: [TestConsumer] = []
  var lastId = 0

  init(seed: UInt64) {
    self.seed = seed
    random = SeededGenerator(state: seed)
    var config = GroupConfig()
    config.consumer.maxSize = Int32.random(in: 4...12, using: &random)
    stage = GroupStage(config: config)
    _ = stage.addTopic("t0", partitions: Int32.random(in: 1...24, using: &random))
  }

  mutating func step() {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<8 where consumers.count < 12: join()
    case 8..<65:
      if let index = consumers.indices.randomElement(using: &random) { consumers[index].heartbeat(&stage) }
    case 65..<68:
      if let index = consumers.indices.randomElement(using: &random) {
        consumers[index].heartbeat(&stage, isLost: true)
      }
    case 68..<71:
      if let index = consumers.indices.randomElement(using: &random) {
        let isStatic = consumers[index].instance != nil
        consumers[index].leave(&stage, forNow: isStatic && Bool.random(using: &random))
        consumers.remove(at: index)
      }
    case 71..<73:
      // Dies, and is found out by its silence.
      if let index = consumers.indices.randomElement(using: &random) { consumers.remove(at: index) }
    case 73..<76:
      if let index = consumers.indices.randomElement(using: &random) {
        consumers[index].subscribe(to: Self.topicNames.filter { _ in Bool.random(using: &random) })
      }
    case 76..<79:
      let name = Self.topicNames.randomElement(using: &random)!
      let count = (stage.topics[name]?.partitionCount ?? 0) + Int32.random(in: 1...5, using: &random)
      _ = stage.addTopic(name, partitions: count)
    case 79: stage.removeTopic(Self.topicNames.randomElement(using: &random)!)
    case 80..<93: pass(ms: Int64.random(in: 0...3_000, using: &random))
    case 93: pass(ms: Int64.random(in: 0...60_000, using: &random))
    case 94: try? stage.restart()
    default:
      for index in consumers.indices { consumers[index].heartbeat(&stage) }
      pass(ms: 500)
    }
  }

  /// Time, in which a real consumer that was not heard of for too long stops reading.
  mutating func pass(ms: Int64) {
    stage.pass(ms: ms)
    for index in consumers.indices where stage.consumerGroup("g")?.members[consumers[index].memberId] == nil {
      consumers[index].owned = [:]
    }
  }

  mutating func join() {
    lastId += 1
    let instance = Int.random(in: 0..<4, using: &random) == 0 ? "i\(Int.random(in: 0..<3, using: &random))" : nil
    var consumer = TestConsumer(
      "g", "m\(lastId)", instance: instance, topics: Self.topicNames.filter { _ in Bool.random(using: &random) })
    consumer.heartbeat(&stage)
    // Full, or its name is taken.
    if consumer.lastError == .none { consumers.append(consumer) }
  }

  func check() throws {
    var readers: [Uuid: [Int32: String]] = [:]
    for consumer in consumers {
      for (topic, partitions) in consumer.owned {
        for partition in partitions {
          let other = readers[topic, default: [:]].updateValue(consumer.memberId, forKey: partition)
          #expect(other == nil, "seed \(seed): \(consumer.memberId) and \(other ?? "") read \(partition)")
        }
      }
    }
  }

  /// All live on in peace.
  mutating func settle() throws {
    for _ in 0..<30 {
      for index in consumers.indices { consumers[index].heartbeat(&stage) }
      pass(ms: 3_000)
      try check()
    }
  }

  mutating func windDown() throws {
    _ = stage.addTopic("t0", partitions: max(24, stage.topics["t0"]?.partitionCount ?? 0))
    for index in consumers.indices { consumers[index].subscribe(to: ["t0"]) }
    try settle()
    // Whoever was driven out and finds its instance id in use by now, or the group full, stays outside.
    consumers.removeAll { $0.epoch == 0 }
    while consumers.count < 3 {
      lastId += 1
      consumers.append(TestConsumer("g", "m\(lastId)", topics: ["t0"]))
    }
    try settle()
    try checkComplete()
    #expect(stage.consumerGroup("g")?.state == .stable, "seed \(seed)")

    // One goes: the others keep what they have.
    let topic = try #require(stage.topics["t0"]).id
    let gone = consumers.removeLast()
    let before = consumers.map { $0.owned[topic] ?? [] }
    var leaving = gone
    leaving.leave(&stage)
    try settle()
    try checkComplete()
    for (consumer, had) in zip(consumers, before) {
      #expect(had.isSubset(of: consumer.owned[topic] ?? []), "seed \(seed)")
    }

    // One comes: what it gets is all that moves.
    lastId += 1
    let held = consumers.map { $0.owned[topic] ?? [] }
    consumers.append(TestConsumer("g", "m\(lastId)", topics: ["t0"]))
    try settle()
    try checkComplete()
    let moved = zip(consumers, held).reduce(0) { $0 + $1.1.subtracting($1.0.owned[topic] ?? []).count }
    #expect(moved == consumers.last?.partitionCount, "seed \(seed)")
    try stage.checkConsumerGroups()
  }

  func checkComplete() throws {
    let topic = try #require(stage.topics["t0"])
    let read = consumers.flatMap { ($0.owned[topic.id] ?? []).sorted() }
    #expect(read.sorted() == Array(0..<topic.partitionCount), "seed \(seed)")
    let sizes = consumers.map(\.partitionCount)
    #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1, "seed \(seed)")
  }
}
