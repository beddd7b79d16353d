// What a producer holds: for each partition a queue of batches. A plain value: it is told what happens and when, and
// says what to send and what was delivered; it knows no socket, clock or task. `ProduceSender` drives it.
//
// Invariants:
// - A record's bytes are charged to the buffer from `append` to its delivery, and the sum stays within `bufferBytes`.
// - Sequences are given in the order in which batches are sent first, and an outcome that leaves it open whether the
//   broker has a batch never lets a later sequence pass for it.
// - A batch leaves by exactly one `Delivery`.

import MillraceProtocol
import MillraceRecords
import NIOCore

struct Accumulator {
  struct Limits: Sendable {
    var batchBytes: Int
    var bufferBytes: Int
    var maxRequestBytes: Int
    var maxInFlight: Int
    var linger: TimeAmount
    /// A batch that somebody waits for does not linger when nothing of its partition is unanswered.
    var sendsAwaitedAtOnce = false
    var deliveryTimeout: TimeAmount
    var isIdempotent: Bool
    var keepsTokens: Bool
    var backoff: Backoff
    /// Records belong to transactions: what fails is not repaired, because the whole is aborted.
    var isTransactional = false
  }

  struct Topic {
    let name: String
    var id: Uuid
    /// The queues of its partitions, by partition.
    var queues: [Int]
    /// Partitions that have a leader.
    var available: [Int]
    var sticky = StickyPartition()
  }

  /// Where a record goes.
  enum Choice {
    case partition(Int32)
    case automatic
  }

  enum Appended: Equatable {
    /// `wakes`: there is something new to send, or to wait for.
    case appended(partition: Int32, wakes: Bool)
    case bufferFull
    case tooLarge(Int)
    case unknownTopic
    case unknownPartition(count: Int)
    case closed
  }

  /// What the producer id of an idempotent producer is worth.
  enum Identity: Equatable {
    case notNeeded
    case wanted
    case ready(id: Int64, epoch: Int16)
    /// A sequence is missing: once nothing is unanswered, all goes on under a new id.
    case renewing(id: Int64, epoch: Int16)
  }

  /// Bytes that a record takes beside its key, value and headers, at most.
  private static let recordOverhead = 40

  let limits: Limits
  var topics: [String: Int] = [:]
  var topicList: [Topic] = []
  var queues: [PartitionQueue] = []
  /// Queues that are not empty, in no particular order.
  var active: [Int] = []
  var inFlight: [Int32: Int] = [:]
  var identity: Identity
  var bufferedBytes = 0
  /// The batches that were opened and not delivered.
  var liveBatches: Set<UInt64> = []
  private var nextBatchId: UInt64 = 0
  private var generator: SplitMix64
  /// Where the next request begins to look, so that no partition is always last.
  private var rotation = 0
  /// Somebody waits for room or for everything: nothing lingers.
  var isUrgent = false
  var isClosed = false
  /// Nothing may be sent to partitions that the coordinator was not told of (transaction version 1).
  var announcesPartitions = false
  /// A batch that was sent has failed since the producer id or epoch is the one that it is.
  var hasBrokenSequences = false

  init(_ limits: Limits, seed: UInt64) {
    self.limits = limits
    identity = limits.isIdempotent ? .wanted : .notNeeded
    generator = SplitMix64(seed: seed)
  }

  // MARK: Topics

  /// Takes over what metadata says of a topic: at first, and whenever it is fetched again.
  mutating func update(_ topic: TopicMetadata) {
    let index: Int
    if let known = topics[topic.name] {
      index = known
      topicList[index].id = topic.id
    } else {
      index = topicList.count
      topics[topic.name] = index
      topicList.append(Topic(name: topic.name, id: topic.id, queues: [], available: []))
    }
    for partition in topic.partitions {
      let position = Int(partition.index)
      if position < topicList[index].queues.count {
        queues[topicList[index].queues[position]].leader = partition.leader
      } else if position == topicList[index].queues.count {
        topicList[index].queues.append(queues.count)
        queues.append(PartitionQueue(topic: index, partition: partition.index, leader: partition.leader))
      }
    }
    topicList[index].available = topicList[index].queues.indices.filter {
      queues[topicList[index].queues[$0]].leader != nil
    }
  }

  func partitionCount(of topic: String) -> Int? {
    topics[topic].map { topicList[$0].queues.count }
  }

  /// No connection to a broker can be made: somebody else may lead its partitions by now.
  mutating func lost(_ broker: Int32) {
    for queue in active where queues[queue].leader == broker { queues[queue].leader = nil }
  }

  /// Topics with batches that nobody leads, so that metadata has to be fetched.
  var topicsWithoutLeader: Set<String> {
    var names: Set<String> = []
    for queue in active where queues[queue].leader == nil { names.insert(topicList[queues[queue].topic].name) }
    return names
  }

  // MARK: Records

  mutating func append(
    topic name: String, _ choice: Choice, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?,
    headers: [MillraceRecords.RecordHeader] = [], timestamp: Int64, token: UInt64 = 0,
    caller: Deferred<BatchPosition>? = nil, now: () -> NIODeadline
  ) -> Appended {
    guard !isClosed else { return .closed }
    guard let topic = topics[name] else { return .unknownTopic }
    let count = topicList[topic].queues.count
    guard count > 0 else { return .unknownTopic }

    let size = (key?.count ?? 0) + (value?.count ?? 0) + headers.reduce(Self.recordOverhead) { $0 + $1.sizeEstimate }
    guard size <= limits.maxRequestBytes else { return .tooLarge(size) }
    guard bufferedBytes + size <= limits.bufferBytes else { return .bufferFull }

    let partition: Int
    var (isSticky, hasFilled) = (false, false)
    switch choice {
    case .partition(let given):
      guard given >= 0, given < count else { return .unknownPartition(count: count) }
      partition = Int(given)
    case .automatic:
      if let key {
        partition = Murmur2.partition(ofKey: key, among: count)
      } else {
        isSticky = true
        partition = stickyPartition(of: topic, for: size, &hasFilled)
      }
    }

    let queue = topicList[topic].queues[partition]
    let wakes = makeRoom(in: queue, for: size, now: now)
    let grown = queues[queue].add(
      key: key, value: value, headers: headers, timestamp: timestamp, token: limits.keepsTokens ? token : nil,
      caller: caller)
    bufferedBytes += grown
    if isSticky { topicList[topic].sticky.took(grown) }
    return .appended(
      partition: Int32(truncatingIfNeeded: partition),
      wakes: wakes || hasFilled || (caller != nil && isAwaited(queue)))
  }

  /// The partition for a record without a key. A batch that it does not fit in is closed, which `hasFilled` tells.
  private mutating func stickyPartition(of topic: Int, for size: Int, _ hasFilled: inout Bool) -> Int {
    let count = topicList[topic].queues.count
    if let current = topicList[topic].sticky.current, current < count {
      let queue = topicList[topic].queues[current]
      let batch: StickyPartition.Batch =
        if let filled = queues[queue].open?.sizeInBytes {
          filled + size <= limits.batchBytes ? .filling : .full
        } else {
          .none
        }
      if !topicList[topic].sticky.isDone(with: batch, batchBytes: limits.batchBytes) { return current }
      hasFilled = batch == .full
      if hasFilled { queues[queue].closeOpen() }
    }
    return topicList[topic].sticky.move(among: count, candidates: topicList[topic].available, using: &generator)
  }

  /// Makes the queue's open batch one that a record of `size` bytes fits in. True when a batch was opened or closed.
  private mutating func makeRoom(in queue: Int, for size: Int, now: () -> NIODeadline) -> Bool {
    // Looked at in place: a copy of the batch would make the next append copy its bytes.
    if let filled = queues[queue].open?.sizeInBytes {
      if filled + size <= limits.batchBytes { return false }
      queues[queue].closeOpen()
    }
    if queues[queue].isEmpty { active.append(queue) }
    nextBatchId += 1
    liveBatches.insert(nextBatchId)
    let capacity = min(limits.batchBytes, max(size + BatchHeader.byteCount, queues[queue].usualBatchBytes))
    queues[queue].open = OpenBatch(id: nextBatchId, openedAt: now(), builder: BatchBuilder(capacity: capacity))
    bufferedBytes += BatchHeader.byteCount
    return true
  }

  /// Closes all batches, so that they are sent now. What is appended later is in others.
  ///
  /// Returns the batches that are not delivered yet.
  mutating func flush() -> Set<UInt64> {
    for queue in active { queues[queue].closeOpen() }
    return liveBatches
  }

  // MARK: Requests

  /// The brokers that something could be sent to now.
  func brokersWithWork(now: NIODeadline) -> Set<Int32> {
    var brokers: Set<Int32> = []
    for queue in active {
      guard let leader = queues[queue].leader, !brokers.contains(leader), hasCapacity(leader) else { continue }
      if case .nothing = next(in: queue, now: now) { continue }
      brokers.insert(leader)
    }
    return brokers
  }

  private func hasCapacity(_ broker: Int32) -> Bool {
    inFlight[broker, default: 0] < limits.maxInFlight
  }

  private func next(in queue: Int, now: NIODeadline) -> PartitionQueue.Next {
    guard !announcesPartitions || queues[queue].isAnnounced else { return .nothing }
    let allowsFresh: Bool
    switch identity {
    case .wanted: return .nothing
    case .renewing: allowsFresh = false
    case .ready, .notNeeded: allowsFresh = true
    }
    return queues[queue].next(
      now: now, linger: limits.linger, maxSent: limits.maxInFlight, allowsFresh: allowsFresh,
      isUrgent: isUrgent || isAwaited(queue))
  }

  /// Whether the queue's open batch need not linger, because somebody waits for it and nothing is before it.
  private func isAwaited(_ queue: Int) -> Bool {
    limits.sendsAwaitedAtOnce && queues[queue].sent.isEmpty && queues[queue].hasCallers
  }

  /// The next request for a broker: at most one batch of each partition. Nil when there is nothing to send to it now.
  mutating func nextRequest(for broker: Int32, now: NIODeadline) -> [OutgoingBatch]? {
    guard hasCapacity(broker), !active.isEmpty else { return nil }
    var request: [OutgoingBatch] = []
    var bytes = 0
    rotation = (rotation + 1) % active.count
    for offset in active.indices {
      let queue = active[(offset + rotation) % active.count]
      guard queues[queue].leader == broker else { continue }
      switch next(in: queue, now: now) {
      case .nothing: continue
      case .again(let sealed, let index):
        guard request.isEmpty || bytes + sealed.bytes.readableBytes <= limits.maxRequestBytes else { continue }
        bytes += sealed.bytes.readableBytes
        request.append(resend(sealed, queue: queue, index: index))
      case .fresh:
        let size = queues[queue].ready.first?.sizeInBytes ?? queues[queue].open?.sizeInBytes ?? 0
        guard request.isEmpty || bytes + size <= limits.maxRequestBytes, let batch = queues[queue].takeFresh() else {
          continue
        }
        bytes += size
        request.append(send(batch, queue: queue))
      }
    }
    guard !request.isEmpty else { return nil }
    inFlight[broker, default: 0] += 1
    return request
  }

  private mutating func send(_ batch: consuming OpenBatch, queue: Int) -> OutgoingBatch {
    let count = batch.builder.recordCount
    let sequence = limits.isIdempotent ? queues[queue].nextSequence : BatchHeader.noSequence
    queues[queue].usualBatchBytes = batch.sizeInBytes
    queues[queue].sent.append(
      SentBatch(
        id: batch.id, openedAt: batch.openedAt, recordCount: count, chargedBytes: batch.sizeInBytes,
        baseSequence: sequence, sentSequence: sequence, callers: batch.callers, backoff: limits.backoff))
    if limits.isIdempotent { queues[queue].nextSequence = BatchHeader.sequence(sequence, advancedBy: count) }
    let id = batch.id
    return outgoing(queue, id, sequence, count, builder: batch.builder)
  }

  private mutating func resend(_ sealed: SealedBatch, queue: Int, index: Int) -> OutgoingBatch {
    queues[queue].sent[index].state = .unanswered
    queues[queue].sent[index].isRetry = true
    queues[queue].sent[index].sentSequence = queues[queue].sent[index].baseSequence
    let batch = queues[queue].sent[index]
    return outgoing(queue, batch.id, batch.baseSequence, batch.recordCount, sealed: sealed)
  }

  private func outgoing(
    _ queue: Int, _ id: UInt64, _ sequence: Int32, _ recordCount: Int32, builder: consuming BatchBuilder? = nil,
    sealed: SealedBatch? = nil
  ) -> OutgoingBatch {
    let topic = topicList[queues[queue].topic]
    return OutgoingBatch(
      queue: queue, id: id, topic: topic.name, topicId: topic.id, partition: queues[queue].partition,
      recordCount: recordCount, builder: builder, sealed: sealed, stamp: stamp(sequence))
  }

  private func stamp(_ sequence: Int32) -> ProducerStamp {
    switch identity {
    case .ready(let id, let epoch), .renewing(let id, let epoch):
      ProducerStamp(producerId: id, producerEpoch: epoch, baseSequence: sequence)
    case .notNeeded, .wanted: ProducerStamp()
    }
  }

  // MARK: Time

  /// When something becomes due without anything else happening. What is due already waits for something else: an
  /// answer, a connection, metadata, a producer id.
  func nextWakeUp(after now: NIODeadline) -> NIODeadline? {
    var earliest: NIODeadline?
    for queue in active {
      let change = queues[queue].leader == nil ? nil : queues[queue].nextChange(linger: limits.linger)
      let expiry = queues[queue].oldestUnsent.map { $0 + limits.deliveryTimeout }
      for time in [change, expiry] {
        if let time, time > now { earliest = min(earliest ?? time, time) }
      }
    }
    return earliest
  }
}

extension PartitionQueue {
  /// Adds a record to the open batch and returns by how much it grew.
  fileprivate mutating func add(
    key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?, headers: [MillraceRecords.RecordHeader],
    timestamp: Int64, token: UInt64?, caller: Deferred<BatchPosition>?
  ) -> Int {
    guard let before = open?.sizeInBytes else { return 0 }
    open!.builder.append(keyBytes: key, valueBytes: value, headers: headers, timestamp: timestamp)
    if let token { open!.callers.tokens.append(token) }
    if let caller { open!.callers.waiting.append((Int(open!.builder.recordCount) - 1, caller)) }
    return open!.sizeInBytes - before
  }

  /// When the oldest batch that no request carries was opened.
  fileprivate var oldestUnsent: NIODeadline? {
    if let oldest = sent.first(where: { !$0.isUnanswered }) { return oldest.openedAt }
    return ready.first?.openedAt ?? open?.openedAt
  }
}

extension MillraceRecords.RecordHeader {
  fileprivate var sizeEstimate: Int { key.utf8.count + (value?.count ?? 0) + 10 }
}
