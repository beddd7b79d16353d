// A member of a classic group, as a plain value: `next` says what to do now, the other functions take what came of it.
// `ClassicMember` drives it.
//
//                        ┌────────────── rebalance: heartbeat, sync or commit says so ───────────────┐
//                        ▼                                                                           │
//    subscribe ──▶ releasing ──▶ joining ──▶ (leader: assigning) ──▶ syncing ──▶ adopting ──▶ stable ─┘
//                  wait for the   JoinGroup    who gets what          SyncGroup   start        heartbeats
//                  application,                                                   reading
//                  commit
//
// Rebalancing is eager by default: a member gives up all its partitions before it joins again. With a cooperative assignor
// (KIP-429) it joins with them and goes on reading; what the new assignment leaves out it gives up afterwards, and joins
// once more so that others get it:
//
//    joining ──▶ … syncing ──▶ (releasing what is left out) ──▶ adopting ──▶ stable, or joining
//
// Partitions are given up between two batches, so the application never has records of a partition that is another
// member's, unless it was lost: the group took it away because the member was gone for too long.

import MillraceProtocol
import NIOCore

struct ClassicMembership {
  struct Settings: Sendable {
    var assignors: [GroupAssignor]
    var groupInstanceId: String?
    var heartbeatInterval: TimeAmount
    var maxPollInterval: TimeAmount
    var metadataMaxAge: TimeAmount
    var backoff: Backoff

    /// Whether whatever the group chooses of them works without giving up everything.
    var isCooperative: Bool { assignors.allSatisfy(\.isCooperative) }
  }

  enum Phase: Equatable {
    case unsubscribed
    /// Partitions have to be given up. `isLost`: they are another's already, so nothing is waited for or committed.
    case releasing(isLost: Bool, isHeld: Bool)
    /// The application took too long and has to come back first.
    case awaitingApplication
    case joining(after: NIODeadline)
    case assigning(GroupAssignor?, [GroupCandidate])
    case syncing([String: [TopicPartition]])
    case adopting([TopicPartition])
    case stable
    case leaving
    case failed
  }

  enum Action: Equatable {
    case sleep(until: NIODeadline?)
    /// Stop handing out between two batches; `held`. At the latest then, ask again.
    case hold(until: NIODeadline?)
    /// Stop reading these; `released`.
    case release([TopicPartition], isLost: Bool)
    /// `joined` or `failed`
    case join(Joining)
    /// Find out how many partitions these topics have; `counted`.
    case count(Set<String>)
    /// `synced` or `failed`
    case sync(assignments: [String: [TopicPartition]])
    /// Read these partitions from now on, and no others; `adopted`.
    case adopt([TopicPartition])
    /// `heartbeat`
    case heartbeat
    /// Tell the group that this member goes; `left`.
    case leave
    case stop(KafkaError)
  }

  /// What a member joins with.
  struct Joining: Equatable {
    var memberId: String
    var topics: Set<String>
    /// What it reads and goes on reading.
    var owned: [TopicPartition] = []
    /// What it was assigned last, and in which generation.
    var last: [TopicPartition] = []
    var lastGeneration: Int32 = -1
  }

  /// How soon a topic that does not exist is looked for again.
  private static let missingTopicInterval = TimeAmount.seconds(5)

  private let settings: Settings
  private(set) var phase = Phase.unsubscribed
  private(set) var memberId = ""
  private(set) var generation: Int32 = -1
  private(set) var protocolName: String?
  private var topics: Set<String> = []
  /// What this member joined with.
  private var joinedTopics: Set<String>?
  private(set) var owned: [TopicPartition] = []
  /// What was assigned last, also after it was given up; for assignors that look at it.
  private var last: (partitions: [TopicPartition], generation: Int32) = ([], -1)
  /// The new assignment, while what it leaves out is given up.
  private var target: [TopicPartition]?
  /// Something was given up for others, who get it when everybody joins again.
  private var rejoins = false
  private var nextHeartbeat = NIODeadline.distantFuture
  private var backoff: Backoff
  /// As leader: the topics of all members with their partition counts, and when to look again.
  private var watched: [String: Int]?
  private var watchedTopics: Set<String> = []
  private var nextCount = NIODeadline.distantFuture
  /// After giving up the partitions the application has to come back before anything else.
  private var mustAwaitApplication = false
  private var error: KafkaError?

  init(_ settings: Settings) {
    self.settings = settings
    backoff = settings.backoff
  }

  // MARK: What to do

  /// - Parameter busySince: since when the application has had a batch; nil while it waits for one.
  mutating func next(now: NIODeadline, busySince: NIODeadline?) -> Action {
    switch phase {
    case .stable, .releasing(isLost: false, _):
      if let busySince, busySince + settings.maxPollInterval <= now { phase = .leaving }
    default: break
    }
    switch phase {
    case .unsubscribed: return .sleep(until: nil)
    case .releasing(isLost: true, _): return .release(owned, isLost: true)
    case .releasing(_, isHeld: true): return .release(leaving, isLost: false)
    case .releasing(_, isHeld: false):
      // The group waits for us, but only as long as we are heard of.
      return nextHeartbeat <= now ? .heartbeat : .hold(until: wakeUp(busySince))
    case .awaitingApplication: return .hold(until: nil)
    case .joining(let after):
      guard after <= now else { return .sleep(until: after) }
      joinedTopics = topics
      return .join(
        Joining(
          memberId: memberId, topics: topics, owned: owned, last: last.partitions, lastGeneration: last.generation))
    case .assigning(_, let members): return .count(members.reduce(into: []) { $0.formUnion($1.topics) })
    case .syncing(let assignments): return .sync(assignments: assignments)
    case .adopting(let partitions): return .adopt(partitions)
    case .stable:
      if nextHeartbeat <= now { return .heartbeat }
      if nextCount <= now { return .count(watchedTopics) }
      return .sleep(until: min(wakeUp(busySince), nextCount))
    case .leaving: return .leave
    case .failed: return .stop(error ?? .closed("the group member"))
    }
  }

  /// What is to be given up: everything, or what the new assignment leaves out.
  private var leaving: [TopicPartition] {
    guard let target else { return owned }
    let kept = Set(target)
    return owned.filter { !kept.contains($0) }
  }

  private func wakeUp(_ busySince: NIODeadline?) -> NIODeadline {
    min(nextHeartbeat, busySince.map { $0 + settings.maxPollInterval } ?? .distantFuture)
  }

  // MARK: What came of it

  mutating func subscribe(to topics: Set<String>, now: NIODeadline) {
    guard topics != self.topics else { return }
    self.topics = topics
    switch phase {
    case .unsubscribed: phase = .joining(after: now)
    case .stable: rejoin(now: now)
    default: break
    }
  }

  /// Nothing is handed out any more.
  mutating func held(now: NIODeadline) {
    switch phase {
    case .releasing(let isLost, _): phase = .releasing(isLost: isLost, isHeld: true)
    case .awaitingApplication: phase = .joining(after: now)
    default: break
    }
  }

  mutating func released(now: NIODeadline) {
    if case .releasing(isLost: false, _) = phase, let target {
      let given = Set(leaving)
      owned.removeAll { given.contains($0) }
      self.target = nil
      rejoins = true
      phase = .adopting(target)
      return
    }
    owned = []
    target = nil
    guard case .releasing = phase else { return }
    phase = mustAwaitApplication ? .awaitingApplication : .joining(after: now)
    mustAwaitApplication = false
  }

  mutating func joined(_ response: JoinGroupResponse, now: NIODeadline) {
    let code = ErrorCode(rawValue: response.errorCode)
    guard code == .none else {
      if code == .memberIdRequired { memberId = response.memberId }
      return refused(code, now: now)
    }
    backoff = settings.backoff
    memberId = response.memberId
    generation = response.generationId
    protocolName = response.protocolName
    watched = nil
    nextCount = .distantFuture
    guard response.leader == memberId, !response.skipAssignment else {
      phase = .syncing([:])
      return
    }
    let candidates = response.members.map { member -> GroupCandidate in
      let subscription = try? GroupSubscription(decoding: member.metadata)
      let previous = subscription?.previous ?? (partitions: [], generation: -1)
      return GroupCandidate(
        memberId: member.memberId, groupInstanceId: member.groupInstanceId, topics: Set(subscription?.topics ?? []),
        owned: previous.partitions, ownedGeneration: previous.generation)
    }
    phase = .assigning(response.protocolName.flatMap { GroupAssignor(rawValue: $0) }, candidates)
  }

  /// Takes the partition counts of the topics that exist.
  mutating func counted(_ counts: [String: Int], now: NIODeadline) {
    switch phase {
    case .assigning(let assignor, let members):
      watchedTopics = members.reduce(into: []) { $0.formUnion($1.topics) }
      watched = counts
      phase = .syncing((assignor ?? settings.assignors[0]).assign(members, partitionCounts: counts))
    case .stable where watched != counts:
      watched = counts
      rejoin(now: now)
    default: break
    }
    let isComplete = watchedTopics.allSatisfy { counts[$0] != nil }
    nextCount = now + (isComplete ? settings.metadataMaxAge : Self.missingTopicInterval)
  }

  mutating func synced(_ response: SyncGroupResponse, now: NIODeadline) {
    let code = ErrorCode(rawValue: response.errorCode)
    guard code == .none else { return refused(code, now: now) }
    guard let assignment = try? GroupAssignment(decoding: response.assignment) else {
      return stop(
        KafkaError(.invalidResponse, "the group's leader sent an assignment that does not follow the consumer protocol")
      )
    }
    nextHeartbeat = now + settings.heartbeatInterval
    target = assignment.partitions
    if leaving.isEmpty {
      target = nil
      phase = .adopting(assignment.partitions)
    } else {
      phase = .releasing(isLost: false, isHeld: false)
    }
  }

  mutating func adopted(_ partitions: [TopicPartition], now: NIODeadline) {
    owned = partitions
    last = (partitions, generation)
    phase = .stable
    if rejoins || topics != joinedTopics ?? topics { rejoin(now: now) }
    rejoins = false
  }

  mutating func heartbeat(_ code: ErrorCode, now: NIODeadline) {
    nextHeartbeat = now + settings.heartbeatInterval
    if code == .none {
      backoff = settings.backoff
    } else if case .releasing = phase, code == .rebalanceInProgress {
      // Joining again is what we are about to do.
    } else {
      refused(code, now: now)
    }
  }

  /// A request did not get through to the coordinator, or cannot.
  mutating func failed(_ error: KafkaError, now: NIODeadline) {
    if let code = error.brokerCode, code != .none { return refused(code, now: now) }
    guard error.isRetriable else { return stop(error) }
    let retry = now + TimeAmount(backoff.next())
    switch phase {
    case .stable, .releasing: pause(until: retry)
    case .joining, .assigning, .syncing, .adopting: phase = .joining(after: retry)
    case .unsubscribed, .awaitingApplication, .leaving, .failed: break
    }
  }

  private mutating func pause(until retry: NIODeadline) {
    nextHeartbeat = retry
    nextCount = max(nextCount, retry)
  }

  /// This member goes for good, or until the application is back.
  mutating func left() {
    memberId = ""
    generation = -1
    forgetAssignment()
    mustAwaitApplication = true
    phase = .releasing(isLost: true, isHeld: false)
  }

  // MARK: Refusals

  private mutating func refused(_ code: ErrorCode, now: NIODeadline) {
    switch code {
    case .memberIdRequired: phase = .joining(after: now)
    case .rebalanceInProgress: rejoin(now: now)
    case .unknownMemberId: lose(forgettingMember: true, now: now)
    case .illegalGeneration: lose(forgettingMember: false, now: now)
    case .fencedInstanceId:
      stop(KafkaError(brokerCode: code, about: "group member '\(settings.groupInstanceId ?? "")'"))
    case _ where code.isRetriable:
      let retry = now + TimeAmount(backoff.next())
      switch phase {
      case .stable, .releasing: pause(until: retry)
      default: phase = .joining(after: retry)
      }
    default: stop(KafkaError(brokerCode: code, about: "joining the group"))
    }
  }

  private mutating func rejoin(now: NIODeadline) {
    let goesOn = owned.isEmpty || settings.isCooperative
    phase = goesOn ? .joining(after: now) : .releasing(isLost: false, isHeld: false)
  }

  private mutating func lose(forgettingMember: Bool, now: NIODeadline) {
    if forgettingMember { memberId = "" }
    generation = -1
    forgetAssignment()
    phase = owned.isEmpty ? .joining(after: now) : .releasing(isLost: true, isHeld: false)
  }

  private mutating func forgetAssignment() {
    last = ([], -1)
    target = nil
    rejoins = false
  }

  private mutating func stop(_ error: KafkaError) {
    self.error = error
    phase = .failed
  }
}
