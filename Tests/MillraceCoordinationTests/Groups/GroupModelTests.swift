// Random groups under random treatment: clients that join, sync, heartbeat, commit, leave, crash and come back, time
// that passes, administrators who remove members and delete groups and topics, brokers that restart. After every step
// the coordinator's state has to make sense, and agree with a model that only watches what clients are told.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupModelTests {
  @Test(arguments: (1...30).map { UInt64($0) } + [UInt64.random(in: 1_000...UInt64.max)])
  func `groups keep their promises under random treatment`(seed: UInt64) throws {
    var world = World(seed: seed)
    for step in 0..<500 {
      try world.step()
      world.check()
      if step % 25 == 0 { try world.checkReplay() }
    }
    try world.windDown()
  }
}

struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

private struct Client {
  enum Phase {
    case out
    case joining(JoinTicket)
    case joined(JoinGroupResponse)
    case syncing(SyncTicket, Generation)
    case working(generation: Int32)
    case gone
  }

  let groupId: String
  let instance: String?
  var topics: [String]
  var memberId = ""
  var phase = Phase.out
}

private struct Generation: Hashable {
  let groupId: String
  /// Restarts and deletions begin anew: a generation that was not journaled may be given out again.
  let era: Int
  let number: Int32
}

private struct Position: Hashable {
  let groupId: String
  let topic: String
  let partition: Int32
}

private struct World {
  static let groupIds = ["g0", "g1", "g2"]
  static let topics = ["t0", "t1", "t2"]

  var stage: GroupStage
  var random: SeededGenerator
  var clients: [Client] = []
  var eras: [String: Int] = [:]

  // What the model has seen.
  var leaders: [Generation: String] = [:]
  var protocols: [Generation: String?] = [:]
  var given: [Generation: [String: String]] = [:]
  /// By group: what the leader of the last generation gave each member. Static members go by their instance id, for a
  /// new incarnation inherits what the last one was given.
  var assigned: [String: [String: String]] = [:]
  var committed: [Position: Int64] = [:]
  var lastOffset: Int64 = 0

  init(seed: UInt64) {
    random = SeededGenerator(state: seed)
    var config = GroupConfig()
    config.maxSize = Int32.random(in: 2...8, using: &random)
    config.initialRebalanceDelayMs = [0, 500, 3_000].randomElement(using: &random)!
    stage = GroupStage(config: config)
  }

  mutating func step() throws {
    switch Int.random(in: 0..<100, using: &random) {
    case 0..<8 where clients.count < 30: newClient()
    case 8..<30:
      // What clients do when nothing is wrong: all of them go on.
      for index in clients.indices.shuffled(using: &random) { advance(index) }
      stage.pass(ms: 300)
    case 30..<70:
      if let index = clients.indices.randomElement(using: &random) { advance(index) }
    case 70..<80: stage.pass(ms: Int64.random(in: 0...2_000, using: &random))
    case 80..<81: stage.pass(ms: Int64.random(in: 0...30_000, using: &random))
    case 81..<90:
      if let index = clients.indices.randomElement(using: &random) { commit(index) }
    case 90..<92:
      if let index = clients.indices.randomElement(using: &random) { leave(index) }
    case 92..<94:
      if let index = clients.indices.randomElement(using: &random) { clients.remove(at: index) }
    case 94: administer()
    case 95: try restart()
    default: stage.pass(ms: 100)
    }
  }

  // MARK: Clients

  mutating func newClient() {
    let groupId = Self.groupIds.randomElement(using: &random)!
    let instance =
      Int.random(in: 0..<3, using: &random) == 0 ? "\(groupId)-i\(Int.random(in: 0..<3, using: &random))" : nil
    clients.append(Client(groupId: groupId, instance: instance, topics: someTopics()))
  }

  mutating func someTopics() -> [String] {
    Self.topics.filter { _ in Bool.random(using: &random) }
  }

  mutating func advance(_ index: Int) {
    let client = clients[index]
    switch client.phase {
    case .gone:
      break
    case .out:
      if Int.random(in: 0..<5, using: &random) == 0 { clients[index].topics = someTopics() }
      let ticket = stage.join(
        client.groupId, memberId: client.memberId, instance: client.instance,
        version: client.memberId.isEmpty && Int.random(in: 0..<5, using: &random) == 0 ? 8 : 9,
        protocols: ["range": clients[index].topics, "sticky": clients[index].topics], sessionMs: 10_000,
        rebalanceMs: 20_000)
      clients[index].phase = .joining(ticket)
    case .joining(let ticket):
      guard let answer = stage.answer(ticket) else { return }
      joinAnswered(index, answer)
    case .joined(let answer):
      sync(index, answer)
    case .syncing(let ticket, let generation):
      guard let answer = stage.answer(ticket) else { return }
      if answer.errorCode == 0 {
        let parts = given[generation]
        #expect(String(buffer: answer.assignment) == parts?[client.instance ?? client.memberId] ?? "")
        clients[index].phase = .working(generation: generation.number)
      } else {
        backOff(index, ErrorCode(rawValue: answer.errorCode))
      }
    case .working(let generation):
      let error = stage.heartbeat(client.groupId, client.memberId, generation, instance: client.instance)
      if error != .none { backOff(index, error) }
    }
  }

  mutating func joinAnswered(_ index: Int, _ answer: JoinGroupResponse) {
    let client = clients[index]
    guard answer.errorCode == 0 else {
      let error = ErrorCode(rawValue: answer.errorCode)
      if error == .memberIdRequired { clients[index].memberId = answer.memberId }
      backOff(index, error)
      return
    }
    clients[index].memberId = answer.memberId
    clients[index].phase = .joined(answer)

    let generation = Generation(
      groupId: client.groupId, era: eras[client.groupId, default: 0], number: answer.generationId)
    let protocolName = protocols.updateValue(answer.protocolName, forKey: generation)
    #expect(protocolName == nil || protocolName == answer.protocolName, "two protocols in one generation")
    if answer.leader == answer.memberId && client.instance == nil {
      let leader = leaders.updateValue(answer.memberId, forKey: generation)
      #expect(leader == nil || leader == answer.memberId, "two leaders in one generation")
      #expect(answer.members.contains { $0.memberId == answer.memberId })
    }
  }

  mutating func sync(_ index: Int, _ answer: JoinGroupResponse) {
    let client = clients[index]
    let isLeader = answer.leader == client.memberId
    let generation = Generation(
      groupId: client.groupId, era: eras[client.groupId, default: 0], number: answer.generationId)
    var parts: [String: String] = [:]
    var partsByName: [String: String] = [:]
    if isLeader && !answer.skipAssignment {
      for member in answer.members where Int.random(in: 0..<10, using: &random) > 0 {
        let part = "\(answer.generationId)/\(member.memberId)/\(random.next())"
        parts[member.memberId] = part
        partsByName[member.groupInstanceId ?? member.memberId] = part
      }
    }
    let group = stage.group(client.groupId)
    if isLeader, group?.state == .completingRebalance, group?.generation == answer.generationId,
      group?.leader == client.memberId
    {
      assigned[client.groupId] = partsByName
      given[generation] = partsByName
    }
    let ticket = stage.sync(
      client.groupId, client.memberId, answer.generationId, assigning: parts, instance: client.instance,
      protocolType: answer.protocolType, protocolName: answer.protocolName)
    clients[index].phase = .syncing(ticket, generation)
  }

  mutating func backOff(_ index: Int, _ error: ErrorCode) {
    switch error {
    case .fencedInstanceId, .inconsistentGroupProtocol:
      clients[index].phase = .gone
    case .unknownMemberId, .groupMaxSizeReached, .unknownServerError:
      #expect(error != .unknownServerError)
      clients[index].memberId = ""
      clients[index].phase = .out
    case .memberIdRequired, .rebalanceInProgress, .illegalGeneration:
      clients[index].phase = .out
    default:
      Issue.record("\(error) to \(clients[index])")
    }
  }

  mutating func leave(_ index: Int) {
    let client = clients[index]
    guard !client.memberId.isEmpty else { return }
    _ = stage.leave(client.groupId, [.init(memberId: client.memberId, groupInstanceId: client.instance)])
    clients.remove(at: index)
  }

  mutating func commit(_ index: Int) {
    let client = clients[index]
    let position = Position(
      groupId: client.groupId, topic: Self.topics.randomElement(using: &random)!,
      partition: Int32.random(in: 0..<2, using: &random))
    lastOffset += 1
    let error: ErrorCode
    if case .working(let generation) = client.phase {
      let group = stage.group(client.groupId)
      error = stage.commit(
        client.groupId, client.memberId, generation, topic: position.topic, partition: position.partition,
        offset: lastOffset, instance: client.instance)
      if error == .none {
        #expect(group?.members[client.memberId] != nil && group?.generation == generation)
      }
    } else {
      let isFree = stage.group(client.groupId).map { $0.state == .empty } ?? true
      error = stage.commit(client.groupId, topic: position.topic, partition: position.partition, offset: lastOffset)
      #expect((error == .none) == isFree)
    }
    if error == .none { committed[position] = lastOffset }
  }

  // MARK: The others

  mutating func administer() {
    let groupId = Self.groupIds.randomElement(using: &random)!
    let topic = Self.topics.randomElement(using: &random)!
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      let wasEmpty = stage.group(groupId)?.state == .empty
      let error = stage.delete(groupId)
      #expect((error == .none) == wasEmpty)
      if error == .none {
        committed = committed.filter { $0.key.groupId != groupId }
        eras[groupId, default: 0] += 1
      }
    case 1:
      stage.deleteTopic(topic)
      committed = committed.filter { $0.key.topic != topic }
    case 2:
      if stage.deleteOffset(groupId, topic: topic) == (.none, ErrorCode.none) {
        committed[Position(groupId: groupId, topic: topic, partition: 0)] = nil
      }
    default:
      _ = stage.leave(groupId, [.init(memberId: "", groupInstanceId: "\(groupId)-i0")])
    }
  }

  mutating func restart() throws {
    try stage.restart()
    for index in clients.indices {
      switch clients[index].phase {
      // Their connections are gone; a client asks again.
      case .joining, .syncing, .joined: clients[index].phase = .out
      case .out, .working, .gone: break
      }
    }
    // The groups are where the journal has them, so the model is, too.
    for groupId in Self.groupIds {
      eras[groupId, default: 0] += 1
      guard let group = stage.group(groupId) else { continue }
      assigned[groupId] = group.members.values.reduce(into: [:]) { parts, member in
        parts[member.groupInstanceId ?? member.memberId] = String(buffer: member.assignment)
      }
      given[Generation(groupId: groupId, era: eras[groupId, default: 0], number: group.generation)] = assigned[groupId]
    }
  }

  // MARK: What has to hold

  func check() {
    for group in stage.shard.classicGroups.values { check(group) }
    for (position, offset) in committed {
      let actual = stage.committed(position.groupId, topic: position.topic, partition: position.partition)
      #expect(actual.committedOffset == offset)
    }
    let count = stage.shard.offsets.groupIds.reduce(0) { count, groupId in
      count + stage.shard.offsets.topics(of: groupId).values.reduce(0) { $0 + $1.count }
    }
    #expect(count == committed.count)
  }

  func check(_ group: ClassicGroup) {
    let members = group.members.values
    #expect(group.awaitingJoinCount == members.count { $0.isAwaitingJoin })
    #expect(members.isEmpty ? group.leader == nil : group.members[group.leader ?? ""] != nil)
    #expect(group.pendingSyncs.isSubset(of: group.members.keys.elements))
    #expect(group.pendingJoins.keys.allSatisfy { group.members[$0] == nil })
    for member in members {
      if let instance = member.groupInstanceId { #expect(group.staticMemberId(of: instance) == member.memberId) }
    }
    switch group.state {
    case .empty:
      #expect(members.isEmpty)
    case .preparingRebalance:
      #expect(members.allSatisfy { $0.syncTicket == nil })
    case .completingRebalance:
      #expect(members.allSatisfy { $0.joinTicket == nil })
      #expect(group.protocolName != nil)
    case .stable:
      #expect(members.allSatisfy { $0.joinTicket == nil && $0.syncTicket == nil })
      for member in members {
        #expect(
          String(buffer: member.assignment) == assigned[group.groupId]?[member.groupInstanceId ?? member.memberId] ?? ""
        )
        #expect(member.metadata(for: group.protocolName) != nil)
      }
    }
  }

  func checkReplay() throws {
    let replayed = try stage.replayed()
    #expect(replayed.offsets == stage.shard.offsets)
    #expect(Set(replayed.classicGroups.keys) == Set(stage.shard.classicGroups.keys))
    for (groupId, group) in stage.shard.classicGroups where group.state == .stable || group.state == .empty {
      #expect(replayed.classicGroups[groupId]?.record() == group.record())
      #expect(replayed.classicGroups[groupId]?.subscribedTopics == group.subscribedTopics)
    }
  }

  /// Everybody falls silent: in the end nobody is left waiting and all groups are empty.
  mutating func windDown() throws {
    clients = []
    stage.pass(ms: 10 * 60_000)
    #expect(stage.parkedJoins.isEmpty)
    #expect(stage.parkedSyncs.isEmpty)
    #expect(stage.shard.classicGroups.values.allSatisfy { $0.state == .empty && $0.pendingJoins.isEmpty })
    #expect(stage.alarmCount == 0)
    stage.pass(ms: stage.shard.config.offsetsRetentionMs)
    stage.expireOffsets()
    #expect(stage.shard.classicGroups.isEmpty)
    committed = [:]
    try checkReplay()
  }
}
