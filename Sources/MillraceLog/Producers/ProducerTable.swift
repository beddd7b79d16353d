// All producers of one partition: a plain value that says whether a batch may be appended, and is told of each one that
// was. Kafka's rules (ProducerStateManager, ProducerAppendInfo), among them:
//
//   - a batch with the sequence numbers of one of the last five is a duplicate, and is answered with its offsets;
//   - a producer that the partition does not know may begin with any sequence (KIP-360);
//   - a known one goes on where it stopped, 0 comes after 2^31 - 1, and a new epoch begins at 0;
//   - an epoch older than the newest seen is fenced.

import MillraceRecords

/// Who appends, and so which of the rules hold.
package enum AppendOrigin: Sendable {
  case client
  /// The broker's own coordinators, whose batches carry an epoch but no sequences.
  case coordinator
}

struct ProducerTable: Sendable {
  private(set) var producers: [Int64: ProducerState]
  /// Who may be about to begin a transaction; see `TransactionGuard`.
  var verifications: [Int64: UInt64] = [:]
  var lastToken: UInt64 = 0

  init() {
    producers = [:]
  }

  /// What a snapshot holds, read at `nowMs`.
  init(_ snapshot: [Int64: ProducerState], nowMs: Int64) {
    producers = snapshot.mapValues { state in
      var state = state
      state.lastSeenMs = nowMs
      return state
    }
  }

  var isEmpty: Bool { producers.isEmpty }

  // MARK: Before the append

  /// Whether the batch may be appended. Returns the batch that it is a duplicate of.
  func check(
    _ header: BatchHeader, origin: AppendOrigin, _ transaction: TransactionGuard = .unchecked
  ) throws(LogError) -> AppendedBatch? {
    guard header.hasProducerId else { return nil }
    let id = header.producerId
    guard let state = producers[id] else {
      try check(header, guardedBy: transaction)
      return nil
    }
    if origin == .client, !header.isControl, state.epoch == header.producerEpoch,
      let duplicate = state.duplicate(firstSequence: header.baseSequence, lastSequence: header.lastSequence)
    {
      return duplicate
    }
    let isTooOld =
      header.isControl && transaction == .raisedEpoch
      ? header.producerEpoch <= state.epoch : header.producerEpoch < state.epoch
    if isTooOld {
      throw .invalidProducerEpoch(producerId: id, current: state.epoch, found: header.producerEpoch)
    }
    guard !header.isControl else { return nil }
    try check(header, guardedBy: transaction)
    if origin == .client { try checkSequence(header, state) }
    if state.transactionStart != nil, !header.isTransactional { throw .invalidTransactionState(producerId: id) }
    return nil
  }

  private func checkSequence(_ header: BatchHeader, _ state: ProducerState) throws(LogError) {
    let found = header.baseSequence
    let expected: Int32
    if header.producerEpoch != state.epoch {
      // All that is remembered may be an outcome of a transaction, or nothing.
      if state.epoch == BatchHeader.noProducerEpoch { return }
      expected = 0
    } else if let last = state.last {
      expected = BatchHeader.sequence(last.lastSequence, advancedBy: 1)
    } else {
      expected = 0
    }
    if found != expected {
      throw .outOfOrderSequence(producerId: header.producerId, expected: expected, found: found)
    }
  }

  /// Whether the outcome of a transaction may be appended.
  func check(_ marker: EndTransactionMarker, _ header: BatchHeader) throws(LogError) {
    guard let state = producers[header.producerId], state.coordinatorEpoch > marker.coordinatorEpoch else { return }
    throw .transactionCoordinatorFenced(
      producerId: header.producerId, current: state.coordinatorEpoch, found: marker.coordinatorEpoch)
  }

  // MARK: After the append

  /// The batch with this header (offsets as stamped) is in the log. Returns whether it began a transaction.
  mutating func add(_ header: BatchHeader, nowMs: Int64) -> Bool {
    guard header.hasProducerId, !header.isControl else { return false }
    let batch = AppendedBatch(
      lastSequence: header.lastSequence, lastOffset: header.lastOffset, offsetDelta: header.lastOffsetDelta,
      timestamp: header.maxTimestamp)
    if header.isTransactional, !verifications.isEmpty { verifications[header.producerId] = nil }
    return producers[header.producerId, default: ProducerState(epoch: header.producerEpoch)].add(
      batch, header, nowMs: nowMs)
  }

  /// The outcome of a transaction is in the log. Returns whether one was open.
  mutating func add(_ marker: EndTransactionMarker, _ header: BatchHeader, nowMs: Int64) -> Bool {
    var state = producers[header.producerId] ?? ProducerState(epoch: header.producerEpoch)
    let wasOpen = state.transactionStart != nil
    state.begin(header.producerEpoch)
    state.coordinatorEpoch = marker.coordinatorEpoch
    state.lastTimestamp = header.maxTimestamp
    state.lastSeenMs = nowMs
    state.transactionStart = nil
    producers[header.producerId] = state
    verifications[header.producerId] = nil
    return wasOpen
  }

  /// Forgets producers that were idle for `expiration`; one with an open transaction stays.
  mutating func removeExpired(nowMs: Int64, expirationMs: Int64) {
    guard producers.contains(where: { Self.isExpired($0.value, nowMs, expirationMs) }) else { return }
    producers = producers.filter { !Self.isExpired($0.value, nowMs, expirationMs) }
  }

  private static func isExpired(_ state: ProducerState, _ nowMs: Int64, _ expirationMs: Int64) -> Bool {
    let (idle, overflow) = nowMs.subtractingReportingOverflow(state.lastSeenMs)
    return state.transactionStart == nil && !overflow && idle >= expirationMs
  }
}

extension ProducerState {
  /// Takes a data batch; true when it is the first of a transaction.
  fileprivate mutating func add(_ batch: AppendedBatch, _ header: BatchHeader, nowMs: Int64) -> Bool {
    begin(header.producerEpoch)
    lastSeenMs = nowMs
    add(batch)
    guard header.isTransactional, transactionStart == nil else { return false }
    transactionStart = header.baseOffset
    return true
  }
}
