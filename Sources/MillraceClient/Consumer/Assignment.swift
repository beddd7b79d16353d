// The partitions that a consumer reads, where it stands in each, and what was fetched and not handed out yet. A plain
// value: `work()` says what to ask of which broker, the other functions take the answers. `FetchPump` drives it.
//
//              completed         handed out            fetched
//    ──────────────┴─────────────────┴──────────────────────┴─────────▶ offsets
//    done with     │ with the        │ waiting here         │ at the broker
//                  │ application     │ (prefetchBytes)      │
//
// Invariants:
// - An answer counts only if the partition's token is the one that it was asked with: after a seek or a new assignment
//   what is still under way for the old one is dropped.
// - Batches of a partition are handed out in the order of their offsets, each once.
// - What is buffered and what is asked for stays within `prefetchBytes`, but for single batches that are larger.

import MillraceProtocol
import NIOCore

struct Assignment {
  struct Limits: Sendable {
    var prefetchBytes: Int
    var fetchMaxBytes: Int
    var maxPartitionFetchBytes: Int
    var stopAtEnd: Bool
    var isolation: IsolationLevel
    var reset: OffsetReset
    /// How long a replica is read that the leader named, until the leader is asked again.
    var replicaLease: TimeAmount
  }

  /// What has to be done; each is under way until its answer is given to the function named.
  enum Work {
    /// `fetched` or `fetchFailed`
    case fetch(FetchPlan)
    /// `resolved`
    case resolve([TopicPartition: StartPosition], tokens: [TopicPartition: UInt64])
    /// `located`; `again`: soon after that was done, and did not help.
    case locate(Set<String>, again: Bool)
  }

  struct FetchPlan {
    var broker: Int32
    var madeAt: NIODeadline
    var wanted: [(partition: TopicPartition, entry: FetchSession.Entry)]
    var tokens: [TopicPartition: UInt64]
    var maxBytes: Int
    var session: FetchSession.Request
    var canUseTopicIds: Bool
  }

  let limits: Limits
  private(set) var partitions: [TopicPartition: Partition] = [:]
  private var chunks = CircularBuffer<FetchedChunk>()
  private var bufferedBytes = 0
  private var reservedBytes: [Int32: Int] = [:]
  private var sessions: [Int32: FetchSession] = [:]
  private var isLocating = false
  private var nextToken: UInt64 = 0
  private var rotation = 0
  /// Partitions that something was handed out of and that is not completed.
  private var uncompleted: [TopicPartition] = []
  /// Partitions that were taken away while the application had something of them.
  private(set) var lostInHand: Set<TopicPartition> = []

  init(_ limits: Limits) {
    self.limits = limits
  }

  // MARK: What to read

  /// Reads these partitions and no others.
  mutating func assign(_ starts: [TopicPartition: StartPosition]) {
    remove(partitions.keys.filter { starts[$0] == nil })
    for (partition, start) in starts where partitions[partition] == nil { add(partition, start) }
  }

  private mutating func add(_ partition: TopicPartition, _ start: StartPosition) {
    nextToken += 1
    partitions[partition] = Partition(token: nextToken, start: start)
  }

  mutating func remove(_ removed: some Collection<TopicPartition>) {
    guard !removed.isEmpty else { return }
    for partition in removed {
      partitions[partition]?.cursor?.end()
      partitions[partition] = nil
    }
    let gone = uncompleted.filter { removed.contains($0) }
    uncompleted.removeAll { gone.contains($0) }
    lostInHand.formUnion(gone)
    dropStaleChunks()
  }

  /// Goes on reading a partition at another place.
  mutating func seek(_ partition: TopicPartition, to start: StartPosition) -> Bool {
    guard let old = partitions[partition] else { return false }
    old.cursor?.end()
    nextToken += 1
    var new = Partition(token: nextToken, start: start)
    new.ends = old.ends
    new.leader = old.leader
    new.leaderEpoch = old.leaderEpoch
    new.topicId = old.topicId
    new.isPaused = old.isPaused
    partitions[partition] = new
    dropStaleChunks()
    return true
  }

  mutating func setPaused(_ partition: TopicPartition, _ isPaused: Bool) -> Bool {
    guard partitions[partition] != nil else { return false }
    if isPaused { interrupt(partition) }
    partitions[partition]?.isPaused = isPaused
    return true
  }

  /// Takes the rest of a batch that is read record by record back; it is fetched again.
  private mutating func interrupt(_ partition: TopicPartition) {
    guard var state = partitions[partition], let cursor = state.cursor else { return }
    cursor.end()
    nextToken += 1
    state.token = nextToken
    state.fetchOffset = state.position
    state.handedOut = state.position
    state.cursor = nil
    state.bufferedBytes = 0
    state.wasAtEnd = false
    partitions[partition] = state
    dropStaleChunks()
  }

  /// Nothing more is handed out, not even of batches that are.
  func endCursors() {
    for state in partitions.values { state.cursor?.end() }
  }

  private mutating func dropStaleChunks() {
    chunks.removeAll { chunk in
      guard partitions[chunk.partition]?.token != chunk.token else { return false }
      bufferedBytes -= chunk.byteCount
      return true
    }
  }

  // MARK: What to do

  mutating func work(now: NIODeadline) -> [Work] {
    var work: [Work] = []
    let lost = partitions.filter { $0.value.leader == nil }
    if !lost.isEmpty, !isLocating {
      isLocating = true
      work.append(.locate(Set(lost.keys.map(\.topic)), again: lost.values.contains { $0.refusals > 1 }))
    }
    var starts: [TopicPartition: StartPosition] = [:]
    var tokens: [TopicPartition: UInt64] = [:]
    for (partition, state) in partitions {
      guard let start = state.start, !state.isResolving else { continue }
      if case .offset(let offset) = start {
        begin(partition, at: offset)
      } else {
        starts[partition] = start
        tokens[partition] = state.token
        partitions[partition]?.isResolving = true
      }
    }
    if !starts.isEmpty { work.append(.resolve(starts, tokens: tokens)) }
    for plan in plans(now: now) { work.append(.fetch(plan)) }
    return work
  }

  private mutating func begin(_ partition: TopicPartition, at offset: Int64) {
    partitions[partition]?.start = nil
    partitions[partition]?.isResolving = false
    partitions[partition]?.fetchOffset = offset
    partitions[partition]?.handedOut = offset
    partitions[partition]?.completed = offset
  }

  private mutating func plans(now: NIODeadline) -> [FetchPlan] {
    var wanted: [Int32: [(partition: TopicPartition, entry: FetchSession.Entry)]] = [:]
    // So much may wait of one partition, lest it leaves no room for the others.
    let share = max(limits.maxPartitionFetchBytes, limits.prefetchBytes / max(1, 2 * partitions.count))
    for (partition, state) in partitions {
      guard let source = state.source(now: now), reservedBytes[source] == nil, state.start == nil, !state.isPaused,
        state.bufferedBytes < share, !(limits.stopAtEnd && state.wasAtEnd)
      else { continue }
      wanted[source, default: []].append(
        (
          partition,
          FetchSession.Entry(
            topicId: state.topicId, offset: state.fetchOffset, leaderEpoch: state.leaderEpoch,
            maxBytes: Int32(clamping: limits.maxPartitionFetchBytes))
        ))
    }
    var plans: [FetchPlan] = []
    // No broker takes the room of the others, and none is always the last to be asked for what is left.
    let brokers = Set(partitions.values.lazy.compactMap { $0.source(now: now) }).count
    let brokerShare = max(limits.maxPartitionFetchBytes, limits.prefetchBytes / max(1, brokers))
    for broker in Self.turned(wanted.keys.sorted(), by: rotation) {
      let entries = wanted[broker] ?? []
      let room = limits.prefetchBytes - bufferedBytes - reservedBytes.values.reduce(0, +)
      guard room >= min(limits.maxPartitionFetchBytes, limits.prefetchBytes / 2) else { break }
      // A broker fills its answer in this order, so every partition is first in turn.
      rotation &+= 1
      let turned = Self.turned(entries.sorted { $0.partition < $1.partition }, by: rotation)
      let maxBytes = min(limits.fetchMaxBytes, brokerShare, room)
      reservedBytes[broker] = maxBytes
      plans.append(
        FetchPlan(
          broker: broker, madeAt: now, wanted: turned,
          tokens: Dictionary(
            turned.map { ($0.partition, partitions[$0.partition]?.token ?? 0) }, uniquingKeysWith: { first, _ in first }
          ),
          maxBytes: maxBytes, session: sessions[broker, default: FetchSession()].request(turned),
          canUseTopicIds: turned.allSatisfy { $0.entry.topicId != .zero }))
    }
    return plans
  }

  private static func turned<Element>(_ elements: [Element], by count: Int) -> [Element] {
    guard !elements.isEmpty else { return [] }
    let first = count % elements.count
    return Array(elements[first...] + elements[..<first])
  }

  // MARK: Answers

  /// Takes the metadata of topics.
  mutating func located(_ topics: [TopicMetadata]) {
    isLocating = false
    let known = Dictionary(topics.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
    for partition in partitions.keys {
      guard let topic = known[partition.topic], let found = topic[partition: partition.partition] else { continue }
      partitions[partition]?.leader = found.leader
      partitions[partition]?.leaderEpoch = found.leaderEpoch
      partitions[partition]?.topicId = topic.id
    }
  }

  /// Takes start offsets. What is missing is asked for again.
  mutating func resolved(_ offsets: [TopicPartition: Int64], tokens: [TopicPartition: UInt64]) {
    for (partition, token) in tokens where partitions[partition]?.token == token {
      if let offset = offsets[partition] {
        begin(partition, at: offset)
      } else {
        partitions[partition]?.isResolving = false
      }
    }
  }

  /// The part of an answer that is about one partition.
  struct FetchedPartition {
    var partition: TopicPartition
    var error: ErrorCode
    var highWatermark: Int64
    var lastStableOffset: Int64
    var records: ByteBuffer
    /// The offset after the last whole batch of `records`, nil without one.
    var endOffset: Int64?
    var aborted: AbortedTransactions
    /// Who should be asked instead of the leader.
    var preferredReplica: Int32?
  }

  /// Takes an answer. Returns what the application has to know of.
  mutating func fetched(
    _ plan: FetchPlan, sessionId: Int32, _ answers: [FetchedPartition]
  ) -> [KafkaError] {
    reservedBytes[plan.broker] = nil
    sessions[plan.broker]?.answered(sessionId: sessionId)
    var errors: [KafkaError] = []
    let asked = Dictionary(plan.wanted.map { ($0.partition, $0.entry) }, uniquingKeysWith: { first, _ in first })
    for answer in answers {
      if answer.error == .none {
        let ends = (answer.highWatermark, visibleEnd(answer))
        partitions[answer.partition]?.ends = ends
      }
      guard let state = partitions[answer.partition], state.token == plan.tokens[answer.partition],
        let entry = asked[answer.partition], entry.offset == state.fetchOffset, state.start == nil
      else { continue }
      if answer.error == .none {
        take(answer, state, plan)
      } else if let error = refused(answer.partition, answer.error, by: plan.broker) {
        errors.append(error)
      }
    }
    // A session is silent about partitions without records of which it has told the end before.
    let answered = Set(answers.map(\.partition))
    for (partition, token) in plan.tokens where !answered.contains(partition) {
      guard let state = partitions[partition], state.token == token, state.start == nil, let ends = state.ends else {
        continue
      }
      if state.fetchOffset >= ends.visible { partitions[partition]?.wasAtEnd = true }
    }
    return errors
  }

  private func visibleEnd(_ answer: FetchedPartition) -> Int64 {
    limits.isolation == .readCommitted && answer.lastStableOffset >= 0 ? answer.lastStableOffset : answer.highWatermark
  }

  private mutating func take(_ answer: FetchedPartition, _ old: Partition, _ plan: FetchPlan) {
    var state = old
    state.refusals = 0
    if let replica = answer.preferredReplica { state.replica = (replica, plan.madeAt + limits.replicaLease) }
    if let end = answer.endOffset, end > state.fetchOffset {
      let chunk = FetchedChunk(
        answer.partition, token: state.token, from: state.fetchOffset, highWatermark: answer.highWatermark,
        records: answer.records, aborted: answer.aborted)
      chunks.append(chunk)
      bufferedBytes += chunk.byteCount
      state.bufferedBytes += chunk.byteCount
      state.fetchOffset = end
    }
    if let ends = state.ends, state.fetchOffset >= ends.visible { state.wasAtEnd = true }
    partitions[answer.partition] = state
  }

  private mutating func refused(_ partition: TopicPartition, _ code: ErrorCode, by broker: Int32) -> KafkaError? {
    switch code {
    case .offsetOutOfRange where partitions[partition]?.leader != broker:
      // A follower may be behind, or ahead of what it may show; the leader knows.
      partitions[partition]?.replica = nil
      return nil
    case .offsetOutOfRange:
      guard let offset = partitions[partition]?.fetchOffset else { return nil }
      switch limits.reset {
      case .earliest: _ = seek(partition, to: .earliest)
      case .latest: _ = seek(partition, to: .latest)
      case .none:
        partitions[partition]?.isPaused = true
        return KafkaError(
          .noOffset,
          "offset \(offset) of partition \(partition) is not there and autoOffsetReset is none; seek to another offset",
          brokerCode: code)
      }
      return nil
    case _ where code.isRetriable || code == .unknownServerError:
      partitions[partition]?.lose()
      partitions[partition]?.refusals += 1
      return nil
    default:
      partitions[partition]?.isPaused = true
      return KafkaError(brokerCode: code, about: "partition \(partition)")
    }
  }

  /// A fetch did not succeed as a whole.
  mutating func fetchFailed(_ plan: FetchPlan, _ error: KafkaError) {
    reservedBytes[plan.broker] = nil
    sessions[plan.broker]?.failed(sessionIsGone: error.brokerCode == .fetchSessionIdNotFound)
    guard error.brokerCode != .fetchSessionIdNotFound, error.brokerCode != .invalidFetchSessionEpoch else { return }
    // Its partitions may be led by somebody else now.
    for (partition, state) in partitions where state.leader == plan.broker || state.replica?.broker == plan.broker {
      partitions[partition]?.lose()
    }
  }

  // MARK: Handing out

  /// Takes the oldest chunk of a partition that is not paused. It comes back by `putBack`.
  mutating func takeChunk() -> FetchedChunk? {
    guard let index = chunks.firstIndex(where: { partitions[$0.partition]?.isPaused == false }) else { return nil }
    return chunks.remove(at: index)
  }

  /// Returns a chunk after a batch was taken from it, with nothing left (`isExhausted`) or not. False when the partition
  /// is not read from there any more, so that the batch must not be handed out.
  mutating func putBack(_ chunk: FetchedChunk, isExhausted: Bool) -> Bool {
    let isCurrent = partitions[chunk.partition]?.token == chunk.token
    if isExhausted || !isCurrent {
      bufferedBytes -= chunk.byteCount
      if isCurrent { partitions[chunk.partition]?.bufferedBytes -= chunk.byteCount }
    } else {
      chunks.prepend(chunk)
    }
    if isCurrent {
      partitions[chunk.partition]?.handedOut = chunk.position
      if uncompleted.last != chunk.partition { uncompleted.append(chunk.partition) }
    }
    return isCurrent
  }

  /// The application reads the batch that it got record by record.
  mutating func follow(_ cursor: RecordCursor, in partition: TopicPartition) {
    partitions[partition]?.cursor = cursor
  }

  /// The chunk's bytes are damaged: it is dropped, and the partition is fetched again from there.
  mutating func drop(_ chunk: FetchedChunk) {
    bufferedBytes -= chunk.byteCount
    guard partitions[chunk.partition]?.token == chunk.token else { return }
    _ = seek(chunk.partition, to: .offset(chunk.position))
  }

  /// The application is done with what it has.
  mutating func complete() {
    for partition in uncompleted {
      guard let state = partitions[partition] else { continue }
      // It took up another iteration in the middle of a batch: the rest comes again.
      if state.position < state.handedOut { interrupt(partition) }
      partitions[partition]?.cursor = nil
      partitions[partition]?.completed = state.position
    }
    uncompleted.removeAll(keepingCapacity: true)
    lostInHand.removeAll(keepingCapacity: true)
  }

  /// The offsets to commit: of what is completed, or also of what the application has.
  func positions(includingHandedOut: Bool) -> [TopicPartition: OffsetAndMetadata] {
    var positions: [TopicPartition: OffsetAndMetadata] = [:]
    for (partition, state) in partitions where state.start == nil {
      let offset = includingHandedOut ? state.position : state.completed
      guard offset >= 0 else { continue }
      positions[partition] = OffsetAndMetadata(
        offset: offset, leaderEpoch: state.leaderEpoch < 0 ? nil : state.leaderEpoch)
    }
    return positions
  }

  /// How many offsets of a partition the application did not get yet, as of the last fetch.
  func lag(of partition: TopicPartition) -> Int64? {
    guard let state = partitions[partition], state.handedOut >= 0 else { return nil }
    return state.highWatermark?.subtractingReportingOverflow(state.handedOut).partialValue
  }

  /// A partition cannot be read until somebody does something about it.
  mutating func giveUp(_ partition: TopicPartition, token: UInt64) {
    guard partitions[partition]?.token == token else { return }
    partitions[partition]?.isPaused = true
  }

  /// Whether every partition was read to its end and everything was handed out.
  var isAtEnd: Bool {
    chunks.isEmpty && partitions.values.allSatisfy { $0.wasAtEnd && $0.start == nil }
  }
}
