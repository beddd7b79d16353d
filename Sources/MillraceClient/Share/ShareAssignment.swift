// What a member of a share group fetches and has. A plain value: `work` says what to ask of which broker, the other
// functions take the answers and what the application does. `ShareFetcher` drives it.
//
//      fetch            next                  acknowledge              the next request to the broker
//    ─────────▶ ready ─────────▶ in hand ─────────────────▶ pending ─────────────────────────────────▶ answered
//                 │ lock runs out   │ lock runs out                                (with a fetch, or on its own)
//                 ▼                 ▼
//              dropped          dropped: delivered again to somebody
//
// Invariants:
// - One request to a broker at a time: they are counted by its session.
// - Records are acknowledged where they were acquired. When that broker leads the partition no more, or the session is
//   lost, acknowledgements fail, and the records are delivered again.
// - No more is fetched while something is ready or the application has `maxRecords` in hand.

import MillraceProtocol
import NIOCore

struct ShareAssignment {
  struct Settings: Sendable {
    var acknowledgementMode: AcknowledgementMode
    var acquireMode: AcquireMode
    var maxRecords: Int
    var renewsLocks: Bool
  }

  typealias Acknowledgements = AcknowledgementQueue.Acknowledgements

  struct Request: Equatable {
    enum Kind: Equatable {
      case fetch(ShareSession.Change)
      case acknowledge(epoch: Int32)
    }

    var broker: Int32
    var kind: Kind
    var acknowledgements: Acknowledgements
  }

  enum Work: Equatable {
    /// `fetched`, `acknowledged` or `failed`
    case send(Request)
    /// `located`; `again`: soon after that was done, and did not help.
    case locate(Set<String>, again: Bool)
  }

  /// A record with its lock.
  private struct Locked {
    var record: ShareRecord
    var source: Source
    var deadline: NIODeadline
  }

  /// Where a record was acquired.
  private struct Source: Hashable {
    var broker: Int32
    var partition: ShareSession.Partition
  }

  private struct RecordKey: Hashable {
    var partition: TopicPartition
    var offset: Int64
  }

  private struct Assigned {
    var topicId = Uuid.zero
    var leader: Int32?
    /// How often it was refused since it was last fetched from.
    var refusals = 0
  }

  private let settings: Settings
  private var assigned: [TopicPartition: Assigned] = [:]
  private var names: [Uuid: String] = [:]
  private var sessions: [Int32: ShareSession] = [:]
  private var busy: Set<Int32> = []
  private var isLocating = false
  private var ready = CircularBuffer<Locked>()
  private var inHand: [RecordKey: Locked] = [:]
  private var queue = AcknowledgementQueue()
  private var lastFetched: Int32 = -1
  private var canRenew = true
  /// For how long records are locked, as the brokers last said.
  private(set) var lockTimeout: TimeAmount?

  init(_ settings: Settings) {
    self.settings = settings
  }

  var partitions: [TopicPartition] { assigned.keys.sorted() }
  var hasAcknowledgements: Bool { !queue.isEmpty }
  var isBusy: Bool { !busy.isEmpty }

  // MARK: What to read

  mutating func assign(_ partitions: [TopicPartition]) {
    let wanted = Set(partitions)
    assigned = assigned.filter { wanted.contains($0.key) }
    for partition in wanted where assigned[partition] == nil { assigned[partition] = Assigned() }
  }

  mutating func located(_ topics: [TopicMetadata]) {
    isLocating = false
    for topic in topics where topic.id != .zero {
      names[topic.id] = topic.name
      for index in topic.partitions.indices {
        let found = topic.partitions[index]
        let partition = TopicPartition(topic.name, found.index)
        assigned[partition]?.topicId = topic.id
        assigned[partition]?.leader = found.leader
      }
    }
  }

  // MARK: What to do

  /// - Parameters:
  ///   - wantsRecords: the application waits for some.
  ///   - flushes: acknowledgements are sent without waiting for a fetch to go with.
  mutating func work(wantsRecords: Bool, flushes: Bool, now: NIODeadline) -> [Work] {
    var work: [Work] = []
    let lost = assigned.filter { $0.value.leader == nil }
    if !lost.isEmpty, !isLocating {
      isLocating = true
      work.append(.locate(Set(lost.keys.map(\.topic)), again: lost.values.contains { $0.refusals > 1 }))
    }
    failMovedAcknowledgements()
    var led: [Int32: Set<ShareSession.Partition>] = [:]
    for (partition, state) in assigned {
      guard let leader = state.leader else { continue }
      led[leader, default: []].insert(ShareSession.Partition(topicId: state.topicId, index: partition.partition))
    }
    for broker in queue.brokers where !busy.contains(broker) {
      if sessions[broker]?.isOpen == true {
        // Renewals cannot travel with a fetch that brings records.
        if flushes || queue.hasRenewals(for: broker) { work.append(.send(acknowledge(at: broker))) }
      } else if let wanted = led[broker] {
        // The session was lost; they have to wait for the next.
        if flushes { work.append(.send(fetch(wanted, from: broker))) }
      } else {
        queue.failPending(for: broker, KafkaError(brokerCode: .shareSessionNotFound, about: "broker \(broker)"))
      }
    }
    guard wantsRecords, ready.isEmpty, heldCount(now) < settings.maxRecords else { return work }
    for broker in brokersToFetchFrom(Set(led.keys)) where !busy.contains(broker) {
      work.append(.send(fetch(led[broker] ?? [], from: broker)))
    }
    return work
  }

  private func brokersToFetchFrom(_ brokers: Set<Int32>) -> [Int32] {
    let sorted = brokers.sorted()
    guard settings.acquireMode == .recordLimit else { return sorted }
    // One at a time, in turn, so that no more than the limit comes.
    guard busy.isEmpty, let next = sorted.first(where: { $0 > lastFetched }) ?? sorted.first else { return [] }
    return [next]
  }

  private mutating func fetch(_ wanted: Set<ShareSession.Partition>, from broker: Int32) -> Request {
    busy.insert(broker)
    lastFetched = broker
    let acknowledgements = sessions[broker]?.isOpen == true ? queue.take(broker) : [:]
    let change = sessions[broker, default: ShareSession()].change(to: wanted)
    return Request(broker: broker, kind: .fetch(change), acknowledgements: acknowledgements)
  }

  private mutating func acknowledge(at broker: Int32) -> Request {
    busy.insert(broker)
    let epoch = sessions[broker]?.epoch ?? 0
    return Request(broker: broker, kind: .acknowledge(epoch: epoch), acknowledgements: queue.take(broker))
  }

  private func heldCount(_ now: NIODeadline) -> Int {
    inHand.count < settings.maxRecords ? inHand.count : inHand.values.count { $0.deadline > now }
  }

  // MARK: Answers

  struct FetchedPartition {
    var partition: ShareSession.Partition
    var error: ErrorCode
    var acknowledgeError: ErrorCode
    var records: ByteBuffer
    var acquired: [ShareDelivery.Acquired]
  }

  /// Takes the answer to a fetch. Returns what the application has to know of.
  mutating func fetched(
    _ request: Request, _ answers: [FetchedPartition], lockTimeout: TimeAmount, checksCRCs: Bool, now: NIODeadline
  ) -> [KafkaError] {
    busy.remove(request.broker)
    sessions[request.broker]?.answered()
    if lockTimeout > .zero { self.lockTimeout = lockTimeout }
    settle(request, answers.map { ($0.partition, $0.acknowledgeError) }, now: now)
    var errors: [KafkaError] = []
    for answer in answers {
      guard let name = names[answer.partition.topicId] else { continue }
      let partition = TopicPartition(name, answer.partition.index)
      if answer.error != .none {
        if let error = refused(partition, answer.error) { errors.append(error) }
        continue
      }
      assigned[partition]?.refusals = 0
      guard !answer.acquired.isEmpty else { continue }
      let delivery = ShareDelivery(
        partition, records: answer.records, acquired: answer.acquired, checksCRCs: checksCRCs)
      take(delivery, from: Source(broker: request.broker, partition: answer.partition), now + lockTimeout)
      if let error = delivery.error { errors.append(error) }
    }
    return errors
  }

  private mutating func take(_ delivery: ShareDelivery, from source: Source, _ deadline: NIODeadline) {
    for record in delivery.records { ready.append(Locked(record: record, source: source, deadline: deadline)) }
    guard !delivery.gaps.isEmpty || !delivery.unreadable.isEmpty else { return }
    change(source) { batches in
      for gap in delivery.gaps { batches.addGap(gap) }
      // To be tried again, until the delivery limit puts it aside.
      for range in delivery.unreadable { batches.release(range) }
    }
  }

  private mutating func refused(_ partition: TopicPartition, _ code: ErrorCode) -> KafkaError? {
    assigned[partition]?.leader = nil
    assigned[partition]?.refusals += 1
    return code.isRetriable ? nil : KafkaError(brokerCode: code, about: "partition \(partition)")
  }

  mutating func acknowledged(
    _ request: Request, _ answers: [(ShareSession.Partition, ErrorCode)], lockTimeout: TimeAmount, now: NIODeadline
  ) {
    busy.remove(request.broker)
    sessions[request.broker]?.answered()
    if lockTimeout > .zero { self.lockTimeout = lockTimeout }
    settle(request, answers, now: now)
  }

  /// A request did not get through, or was refused as a whole: whatever the session was, the next fetch opens another.
  mutating func failed(_ request: Request, _ error: KafkaError) {
    busy.remove(request.broker)
    sessions[request.broker]?.reset()
    queue.failSent(to: request.broker, error)
    guard error.brokerCode?.isAboutShareSession != true else { return }
    for partition in assigned.keys where assigned[partition]?.leader == request.broker {
      assigned[partition]?.leader = nil
    }
  }

  /// Nothing more is sent.
  mutating func failPending(_ error: KafkaError) { queue.failPending { _, _ in error } }

  /// The request for a broker that does not know renewals; nil when nothing else is in it.
  mutating func withoutRenewals(_ request: Request) -> Request? {
    canRenew = false
    var request = request
    request.acknowledgements = queue.failRenewals(
      to: request.broker,
      KafkaError(
        .unsupportedVersion, "broker \(request.broker) cannot renew locks (KIP-1222); it needs a newer version"))
    guard request.acknowledgements.isEmpty else { return request }
    busy.remove(request.broker)
    return nil
  }

  private mutating func settle(_ request: Request, _ answers: [(ShareSession.Partition, ErrorCode)], now: NIODeadline) {
    let taken = queue.answered(
      request.broker, answers.map { ($0.0, .broker($0.1, about: "acknowledgements of partition \(name($0.0))")) })
    guard let lockTimeout else { return }
    for (partition, batches) in taken where batches.hasRenewals {
      for (offset, type) in batches.types where type == .renew {
        inHand[RecordKey(partition: name(partition), offset: offset)]?.deadline = now + lockTimeout
      }
    }
  }

  /// The partition by its name. Whatever was fetched has one.
  private func name(_ partition: ShareSession.Partition) -> TopicPartition {
    TopicPartition(names[partition.topicId] ?? "\(partition.topicId)", partition.index)
  }

  /// What brokers answered to acknowledgements since the last time.
  mutating func takeReports() -> [AcknowledgementReport] {
    queue.takeOutcomes().map { outcome in
      AcknowledgementReport(
        topicPartition: name(outcome.partition), acknowledgements: outcome.types, error: outcome.error)
    }
  }

  /// A broker that leads a partition no more does not know of its locks.
  private mutating func failMovedAcknowledgements() {
    guard !queue.brokers.isEmpty else { return }
    queue.failPending { [assigned, names] broker, partition in
      let name = names[partition.topicId].map { TopicPartition($0, partition.index) }
      guard let name, let leader = assigned[name]?.leader, leader != broker else { return nil }
      return KafkaError(brokerCode: .notLeaderOrFollower, about: "acknowledgements of partition \(name)")
    }
  }

  // MARK: The application

  /// The next record for the application, if there is one whose lock has not run out.
  mutating func take(now: NIODeadline) -> ShareRecord? {
    while let locked = ready.popFirst() {
      guard locked.deadline > now else { continue }
      inHand[RecordKey(partition: locked.record.topicPartition, offset: locked.record.offset)] = locked
      return locked.record
    }
    return nil
  }

  mutating func acknowledge(_ record: ShareRecord, _ type: Acknowledgement, now: NIODeadline) throws(KafkaError) {
    let key = RecordKey(partition: record.topicPartition, offset: record.offset)
    guard let locked = inHand[key], locked.record.deliveryCount == record.deliveryCount else {
      throw Self.notLocked(record, "it was acknowledged already, or its lock has run out")
    }
    if type != .renew { inHand[key] = nil }
    guard locked.deadline > now else {
      throw Self.notLocked(record, "its lock has run out, so it is delivered again")
    }
    change(locked.source) { $0.add(type, at: record.offset) }
  }

  private static func notLocked(_ record: ShareRecord, _ why: String) -> KafkaError {
    KafkaError(
      .broker, "record \(record.offset) of partition \(record.topicPartition) cannot be acknowledged: \(why)",
      brokerCode: .invalidRecordState, isRetriable: false)
  }

  /// The application is done with what it has, if that is how it says so.
  mutating func complete(now: NIODeadline) {
    guard settings.acknowledgementMode == .implicit else { return }
    for (key, locked) in inHand where locked.deadline > now {
      change(locked.source) { $0.add(.accept, at: key.offset) }
    }
    inHand.removeAll(keepingCapacity: true)
  }

  /// Forgets what is not locked any more, and renews what soon would not be.
  mutating func tick(now: NIODeadline) {
    for (key, locked) in inHand {
      if locked.deadline <= now {
        inHand[key] = nil
      } else if settings.renewsLocks, canRenew, let lockTimeout,
        locked.deadline - now < .nanoseconds(lockTimeout.nanoseconds / 2)
      {
        change(locked.source) { $0.add(.renew, at: key.offset) }
      }
    }
  }

  private mutating func change(_ source: Source, _ body: (inout AcknowledgementBatches) -> Void) {
    queue.add(to: source.broker, source.partition, body)
  }

  // MARK: The end

  /// The requests that close all sessions, with the last acknowledgements. A closed session gives back what is locked,
  /// as if it had not been delivered.
  mutating func farewells() -> [Request] {
    queue.dropPendingRenewals()
    inHand = [:]
    ready.removeAll()
    defer { sessions = [:] }
    return sessions.filter { $0.value.isOpen }.keys.sorted().map { broker in
      busy.insert(broker)
      return Request(
        broker: broker, kind: .acknowledge(epoch: ShareSession.finalEpoch), acknowledgements: queue.take(broker))
    }
  }
}

extension ErrorCode {
  /// Whether it concerns the session alone, so that another one is all that is needed.
  var isAboutShareSession: Bool {
    switch self {
    case .shareSessionNotFound, .invalidShareSessionEpoch, .shareSessionLimitReached: true
    default: false
    }
  }
}
