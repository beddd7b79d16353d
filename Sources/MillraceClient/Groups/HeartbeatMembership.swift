// A member of a group that is led by its coordinator: a consumer group of KIP-848, or a share group of KIP-932. A plain
// value: `next` says what to do now, the other functions take what came of it. `HeartbeatMember` drives it.
//
// One request does it all. A heartbeat with epoch 0 joins; every answer brings the member's epoch and, when it changed,
// the partitions that the member is to have. While it has others, the member moves towards them, one step at a time:
//
//    owned ⊄ assigned            give up what is not assigned    between two batches, after a commit
//    owned ≠ reported            heartbeat at once               so that the coordinator can give it to others
//    assigned ⊄ owned            take what is new                between two batches
//
// so no partition is read by two members at once. A share group shares partitions out to several members anyway: there
// they come and go without waiting and without a report.
//
// A coordinator that does not know the member or its epoch has given its partitions to others: they are lost, and the
// member joins again, under the id that it keeps for all its life (KIP-1082).

import MillraceProtocol
import NIOCore

struct HeartbeatMembership {
  struct Settings: Sendable {
    var memberId: String
    var groupInstanceId: String?
    var rack: String?
    /// The assignor that the coordinator is asked to use; nil for the one that it prefers.
    var assignor: String?
    var maxPollInterval: TimeAmount
    /// Whether partitions are given up and taken in step with the coordinator; false in a share group.
    var reconciles: Bool
    var backoff: Backoff
  }

  struct Partition: Hashable, Sendable {
    var topicId: Uuid
    var partition: TopicPartition
  }

  /// A request. What is nil has not changed since the one before.
  struct Heartbeat: Equatable, Sendable {
    var memberId: String
    var epoch: Int32
    var groupInstanceId: String?
    var rack: String?
    var rebalanceTimeout: TimeAmount?
    var subscription: Subscription?
    var assignor: String?
    var owned: [Uuid: [Int32]]?
  }

  struct Answer: Sendable {
    var error = ErrorCode.none
    var message: String?
    var memberId: String?
    var epoch: Int32 = 0
    var interval = TimeAmount.seconds(5)
    /// Nil when it has not changed.
    var assignment: [Uuid: [Int32]]?
  }

  enum Action: Equatable {
    case sleep(until: NIODeadline?)
    /// Stop handing out between two batches; `held`. At the latest then, ask again.
    case hold(until: NIODeadline?)
    /// There is nothing to stop for any more; `letGo`.
    case letGo
    /// Stop reading these; `released`. Heartbeats go on meanwhile.
    case release([TopicPartition], isLost: Bool)
    /// Read these too; `adopted`. Heartbeats go on meanwhile.
    case adopt([TopicPartition])
    /// Find out the names of topics; `resolved`.
    case resolve(Set<Uuid>)
    /// `answered` or `failed`
    case heartbeat(Heartbeat)
    /// Tell the group that this member goes until its application is back; `left`.
    case leave
    case stop(KafkaError)
  }

  private enum Phase: Equatable {
    case unsubscribed
    case joining
    case member
    /// The application took too long.
    case leaving
    /// What was owned is another's. Afterwards it joins again.
    case lost
    /// The application has to come back before anything else.
    case awaitingApplication
    case failed(KafkaError)
  }

  /// What the coordinator knows of us.
  private struct Known: Equatable {
    var subscription: Subscription?
    var owned: Set<Partition> = []
  }

  /// Says to the coordinator that the member goes.
  private static let leaveEpoch: Int32 = -1
  /// Says that a static member goes and will be back.
  private static let pauseEpoch: Int32 = -2

  private let settings: Settings
  private(set) var memberId: String
  /// 0 while it is no member.
  private(set) var epoch: Int32 = 0
  private var phase = Phase.unsubscribed
  private var subscription: Subscription?
  private var assigned: [Uuid: Set<Int32>] = [:]
  private var names: [Uuid: String] = [:]
  private var owned: Set<Partition> = []
  /// Nil when everything has to be said again.
  private var known: Known?
  private var sent = Known()
  private var nextHeartbeat = NIODeadline.distantPast
  private var nextResolve = NIODeadline.distantPast
  private var backoff: Backoff
  private var resolveBackoff: Backoff
  /// What is being given up or taken at the moment.
  private var handover: Set<Partition>?
  private var wantsHold = false
  private var isHeld = false
  private var isBackAfterwards = false
  /// Whether it does nothing more but stay in the group for as long as its reader needs.
  private var isLeaving = false
  /// Whether the coordinator may know of this member.
  private(set) var hasJoined = false

  init(_ settings: Settings) {
    self.settings = settings
    memberId = settings.memberId
    backoff = settings.backoff
    resolveBackoff = settings.backoff
  }

  /// Whether partitions are being given up or taken.
  var isHandingOver: Bool { handover != nil }

  var ownedPartitions: [TopicPartition] { owned.map(\.partition).sorted() }

  // MARK: What to do

  /// - Parameter busySince: since when the application has had records; nil while it waits for some.
  mutating func next(now: NIODeadline, busySince: NIODeadline?) -> Action {
    if handover != nil || isLeaving {
      guard phase == .member else { return .sleep(until: nil) }
      return nextHeartbeat <= now ? heartbeat() : .sleep(until: nextHeartbeat)
    }
    if phase == .member, let busySince, busySince + settings.maxPollInterval <= now { phase = .leaving }
    switch phase {
    case .unsubscribed: return .sleep(until: nil)
    case .leaving: return .leave
    case .lost:
      guard owned.isEmpty else { return release(owned, isLost: true) }
      phase = isBackAfterwards ? .awaitingApplication : .joining
      isBackAfterwards = false
      return next(now: now, busySince: busySince)
    case .awaitingApplication:
      wantsHold = true
      return .hold(until: nil)
    case .joining:
      if wantsHold { return .letGo }
      return nextHeartbeat <= now ? heartbeat() : .sleep(until: nextHeartbeat)
    case .member:
      return nextHeartbeat <= now || isUnreported ? heartbeat() : reconcile(now: now, busySince: busySince)
    case .failed(let error):
      return owned.isEmpty ? .stop(error) : release(owned, isLost: true)
    }
  }

  private mutating func reconcile(now: NIODeadline, busySince: NIODeadline?) -> Action {
    let wanted = wanted
    let unwanted = owned.subtracting(wanted)
    let added = wanted.subtracting(owned)
    let wakeUp = min(nextHeartbeat, busySince.map { $0 + settings.maxPollInterval } ?? .distantFuture)
    if unwanted.isEmpty, added.isEmpty {
      if wantsHold { return .letGo }
      let unnamed = Set(assigned.keys).subtracting(names.keys)
      guard !unnamed.isEmpty else { return .sleep(until: wakeUp) }
      return nextResolve <= now ? .resolve(unnamed) : .sleep(until: min(wakeUp, nextResolve))
    }
    guard isHeld || !settings.reconciles else {
      wantsHold = true
      return .hold(until: wakeUp)
    }
    return unwanted.isEmpty ? adopt(added) : release(unwanted, isLost: false)
  }

  /// What is assigned, as far as the names of its topics are known.
  private var wanted: Set<Partition> {
    var wanted: Set<Partition> = []
    for (id, partitions) in assigned {
      guard let name = names[id] else { continue }
      for partition in partitions { wanted.insert(Partition(topicId: id, partition: TopicPartition(name, partition))) }
    }
    return wanted
  }

  private var isUnreported: Bool {
    guard let known else { return false }
    return known.subscription != subscription || (settings.reconciles && known.owned != owned)
  }

  private mutating func release(_ partitions: Set<Partition>, isLost: Bool) -> Action {
    handover = partitions
    return .release(partitions.map(\.partition).sorted(), isLost: isLost)
  }

  private mutating func adopt(_ partitions: Set<Partition>) -> Action {
    handover = partitions
    return .adopt(partitions.map(\.partition).sorted())
  }

  private mutating func heartbeat() -> Action {
    hasJoined = true
    sent = Known(subscription: subscription, owned: owned)
    let isFull = known == nil
    return .heartbeat(
      Heartbeat(
        memberId: memberId, epoch: epoch, groupInstanceId: settings.groupInstanceId,
        rack: isFull ? settings.rack : nil, rebalanceTimeout: isFull ? settings.maxPollInterval : nil,
        subscription: isFull || known?.subscription != subscription ? subscription : nil,
        assignor: isFull ? settings.assignor : nil,
        owned: settings.reconciles && (isFull || known?.owned != owned) ? Self.byTopic(owned) : nil))
  }

  private static func byTopic(_ partitions: Set<Partition>) -> [Uuid: [Int32]] {
    Dictionary(grouping: partitions, by: \.topicId).mapValues { $0.map(\.partition.partition).sorted() }
  }

  /// The last request of this member.
  var farewell: Heartbeat {
    Heartbeat(
      memberId: memberId, epoch: settings.groupInstanceId == nil ? Self.leaveEpoch : Self.pauseEpoch,
      groupInstanceId: settings.groupInstanceId)
  }

  // MARK: What came of it

  mutating func subscribe(to subscription: Subscription) {
    self.subscription = subscription
    if phase == .unsubscribed { phase = .joining }
  }

  /// The member is about to go: from now on it only stays.
  mutating func prepareToLeave() { isLeaving = true }

  /// Nothing is handed out any more.
  mutating func held() {
    isHeld = true
    if phase == .awaitingApplication { phase = .joining }
  }

  /// What was held may go on.
  mutating func letGo() {
    isHeld = false
    wantsHold = false
  }

  mutating func released() {
    owned.subtract(handover ?? [])
    handover = nil
    letGo()
  }

  mutating func adopted() {
    owned.formUnion(handover ?? [])
    handover = nil
    letGo()
  }

  /// Takes the names of topics that exist.
  mutating func resolved(_ found: [Uuid: String], now: NIODeadline) {
    names.merge(found) { _, new in new }
    if assigned.keys.allSatisfy({ names[$0] != nil }) { resolveBackoff = settings.backoff }
    nextResolve = now + TimeAmount(resolveBackoff.next())
  }

  mutating func answered(_ answer: Answer, now: NIODeadline) {
    guard phase == .joining || phase == .member else { return }
    guard answer.error == .none else { return refused(answer.error, answer.message, now: now) }
    backoff = settings.backoff
    if let id = answer.memberId, !id.isEmpty { memberId = id }
    epoch = answer.epoch
    known = sent
    nextHeartbeat = now + max(answer.interval, .milliseconds(1))
    phase = .member
    guard let assignment = answer.assignment else { return }
    assigned = assignment.mapValues { Set($0) }.filter { !$0.value.isEmpty }
    names = names.filter { assigned[$0.key] != nil }
    nextResolve = now
  }

  /// The request did not get through to the coordinator, or cannot.
  mutating func failed(_ error: KafkaError, now: NIODeadline) {
    if let code = error.brokerCode, code != .none { return refused(code, nil, now: now) }
    guard error.isRetriable else { return stop(error) }
    retry(now: now)
  }

  /// This member is gone until the application is back.
  mutating func left() {
    isBackAfterwards = true
    lose(now: .distantPast)
  }

  // MARK: Refusals

  private mutating func refused(_ code: ErrorCode, _ message: String?, now: NIODeadline) {
    switch code {
    case .fencedMemberEpoch, .unknownMemberId:
      // At once, but for a member that has just tried that.
      lose(now: phase == .joining ? now + TimeAmount(backoff.next()) : now)
    case _ where code.isRetriable: retry(now: now)
    default:
      stop(KafkaError(brokerCode: code, about: "group member '\(memberId)'", detail: message))
    }
  }

  /// Whether the coordinator took the request is not known, so everything is said again.
  private mutating func retry(now: NIODeadline) {
    known = nil
    nextHeartbeat = now + TimeAmount(backoff.next())
  }

  private mutating func lose(now: NIODeadline) {
    epoch = 0
    assigned = [:]
    known = nil
    nextHeartbeat = now
    phase = .lost
  }

  private mutating func stop(_ error: KafkaError) {
    assigned = [:]
    phase = .failed(error)
  }
}
