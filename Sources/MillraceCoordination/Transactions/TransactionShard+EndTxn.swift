// EndTxn: the producer decides the outcome. In transaction version 2 (KIP-890) that raises its epoch, so that nothing
// of this transaction that is still on its way can end up in the next; the answer says which epoch, or after the last
// one which producer id, comes next.
//
// A retry in version 2 comes with the epoch before the raise:
//
//                    abort: retry    current epoch      commit: retry    current epoch
//   Empty            fenced          raise              fenced           invalid
//   CompleteAbort    done            raise              invalid          invalid
//   CompleteCommit   invalid         raise              done             invalid
//
// Before version 2 the epoch stays, a retry is known by the state, and an empty transaction cannot be ended.

import MillraceProtocol

extension TransactionShard {
  /// The first version of the request that only clients of transaction version 2 send.
  private static let firstRaisingVersion: Int16 = 5

  package mutating func end(
    _ request: EndTxnRequest, version: Int16, freshId: Int64?, now: Moment
  ) -> TransactionStep<EndTxnResponse> {
    guard !request.transactionalId.isEmpty else { return .refused(.init(refusing: .invalidRequest)) }
    guard let current = transactions[request.transactionalId] else {
      return .refused(.init(refusing: .invalidProducerIdMapping))
    }
    return version >= Self.firstRaisingVersion
      ? endRaising(request, current, freshId: freshId, now) : endKeeping(request, current, now)
  }

  private mutating func endKeeping(
    _ request: EndTxnRequest, _ current: Transaction, _ now: Moment
  ) -> TransactionStep<EndTxnResponse> {
    if current.producerId != request.producerId { return .refused(.init(refusing: .invalidProducerIdMapping)) }
    if current.producerEpoch != request.producerEpoch { return .refused(.init(refusing: .producerFenced)) }
    guard current.state == .ongoing else {
      let error: ErrorCode =
        switch (current.state, request.committed) {
        case (.completeCommit, true), (.completeAbort, false): .none
        case (.prepareCommit, true), (.prepareAbort, false): .concurrentTransactions
        default: .invalidTxnState
        }
      return .refused(.init(refusing: error))
    }
    var ended = current
    ended.clientVersion = 0
    ended.nextProducerId = Transaction.noProducerId
    var decision = TransactionDecision()
    prepare(ended, isCommit: request.committed, now, &decision)
    return .decided(.init(refusing: .none), decision)
  }

  private mutating func endRaising(
    _ request: EndTxnRequest, _ current: Transaction, freshId: Int64?, _ now: Moment
  ) -> TransactionStep<EndTxnResponse> {
    let isCurrent = current.producerId == request.producerId && current.producerEpoch == request.producerEpoch
    let isRetryAcrossIds =
      current.previousProducerId == request.producerId && request.producerEpoch == Int16.max - 1
      && current.producerEpoch == 0
    let isRetry =
      isRetryAcrossIds
      || (current.producerId == request.producerId && request.producerEpoch < .max
        && current.producerEpoch == request.producerEpoch + 1)
    guard current.producerId == request.producerId || isRetryAcrossIds else {
      return .refused(.init(refusing: .invalidProducerIdMapping))
    }
    switch current.state {
    case .ongoing:
      guard isCurrent else { return .refused(.init(refusing: .producerFenced)) }
      return raise(request, current, freshId: freshId, now)
    case .prepareCommit, .prepareAbort:
      guard isRetry else { return .refused(.init(refusing: .producerFenced)) }
      let isSame = (current.state == .prepareCommit) == request.committed
      return .refused(.init(refusing: isSame ? .concurrentTransactions : .invalidTxnState))
    case .empty, .completeCommit, .completeAbort:
      if current.state == .empty || !isRetry {
        guard isCurrent else { return .refused(.init(refusing: .producerFenced)) }
        // Aborting nothing raises the epoch: the client does not know whether anything it sent arrived.
        return request.committed
          ? .refused(.init(refusing: .invalidTxnState)) : raise(request, current, freshId: freshId, now)
      }
      guard (current.state == .completeCommit) == request.committed else {
        return .refused(.init(refusing: .invalidTxnState))
      }
      // The epoch of an abort that fenced is given to nobody when none is left above it for the next outcome.
      if current.hasLastEpoch { return raise(request, current, freshId: freshId, now) }
      return .refused(EndTxnResponse(producerId: current.producerId, producerEpoch: current.producerEpoch))
    }
  }

  private mutating func raise(
    _ request: EndTxnRequest, _ current: Transaction, freshId: Int64?, _ now: Moment
  ) -> TransactionStep<EndTxnResponse> {
    var ended = current
    ended.nextProducerId = Transaction.noProducerId
    if current.isEpochExhausted {
      guard let freshId else { return .needsProducerId }
      ended.nextProducerId = freshId
    }
    ended.clientVersion = TransactionVersion.latest
    ended.lastProducerEpoch = current.producerEpoch
    ended.raiseEpoch()
    if current.state != .ongoing { ended.startMs = now.wallMs }
    var decision = TransactionDecision()
    prepare(ended, isCommit: request.committed, now, &decision)
    let next = ended.completed(now)
    return .decided(EndTxnResponse(producerId: next.producerId, producerEpoch: next.producerEpoch), decision)
  }

  // MARK: The way to the end

  private mutating func prepare(
    _ transaction: Transaction, isCommit: Bool, _ now: Moment, _ decision: inout TransactionDecision
  ) {
    var transaction = transaction
    transaction.state = isCommit ? .prepareCommit : .prepareAbort
    transaction.lastUpdateMs = now.wallMs
    put(transaction, &decision)
    decision.endings.append(TransactionEnding(transaction))
  }

  /// Aborts an open transaction with an epoch above its producer's, who is fenced by that.
  mutating func abort(
    fencing transaction: Transaction, level: Int16, _ now: Moment, _ decision: inout TransactionDecision
  ) {
    var aborted = transaction
    let raises = TransactionVersion.raisesEpoch(level)
    aborted.clientVersion = raises ? TransactionVersion.latest : 0
    aborted.lastProducerEpoch = raises ? transaction.producerEpoch : Transaction.noEpoch
    aborted.nextProducerId = Transaction.noProducerId
    aborted.raiseEpoch()
    prepare(aborted, isCommit: false, now, &decision)
  }

  /// The outcome stands in all partitions, durably. Nothing happens if the id has gone on since.
  package mutating func complete(_ ending: TransactionEnding, now: Moment) -> TransactionDecision {
    var decision = TransactionDecision()
    guard let current = transactions[ending.transactionalId], current.state.isEnding,
      current.producerId == ending.producerId, current.producerEpoch == ending.producerEpoch
    else { return decision }
    put(current.completed(now), &decision)
    decision.completed.append(ending.transactionalId)
    return decision
  }
}

extension Transaction {
  /// As it is when all markers are written.
  fileprivate func completed(_ now: Moment) -> Transaction {
    var completed = self
    completed.state = state == .prepareCommit ? .completeCommit : .completeAbort
    if TransactionVersion.raisesEpoch(clientVersion), nextProducerId != Self.noProducerId {
      completed.producerId = nextProducerId
      completed.producerEpoch = 0
    }
    completed.nextProducerId = Self.noProducerId
    completed.partitions = []
    completed.lastUpdateMs = now.wallMs
    return completed
  }
}

extension EndTxnResponse {
  package init(refusing error: ErrorCode) {
    self.init(errorCode: error.rawValue, producerId: -1, producerEpoch: -1)
  }
}
