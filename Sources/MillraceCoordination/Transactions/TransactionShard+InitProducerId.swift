// InitProducerId with a transactional id: a new producer takes the id over and fences whoever had it before (KIP-98), or
// a producer goes on after an error with an epoch above its own (KIP-360).

import MillraceProtocol

extension TransactionShard {
  /// - Parameters:
  ///   - freshId: a producer id that nobody ever had, if one was asked for.
  ///   - level: of the feature transaction.version.
  package mutating func initProducerId(
    _ request: InitProducerIdRequest, freshId: Int64?, level: Int16, now: Moment
  ) -> TransactionStep<InitProducerIdResponse> {
    guard let id = request.transactionalId, !id.isEmpty else { return .refused(.init(refusing: .invalidRequest)) }
    guard (request.producerId == -1) == (request.producerEpoch == -1) else {
      return .refused(.init(refusing: .invalidRequest))
    }
    guard request.transactionTimeoutMs > 0, request.transactionTimeoutMs <= config.maxTimeoutMs else {
      return .refused(.init(refusing: .invalidTransactionTimeout))
    }
    let expected: ClaimedProducer? =
      request.producerId == -1 ? nil : ClaimedProducer(id: request.producerId, epoch: request.producerEpoch)
    guard let existing = transactions[id] else {
      guard let freshId else { return .needsProducerId }
      let new = Transaction(
        transactionalId: id, producerId: freshId, timeoutMs: request.transactionTimeoutMs, nowMs: now.wallMs)
      return begin(new, epochBefore: Transaction.noEpoch, request, now)
    }
    guard expected?.couldBe(existing) ?? true else { return .refused(.init(refusing: .producerFenced)) }

    switch existing.state {
    case .prepareCommit, .prepareAbort:
      return .refused(.init(refusing: .concurrentTransactions))
    case .ongoing:
      // The epoch of this abort is given to nobody; whoever asks again gets the one above it.
      var decision = TransactionDecision()
      decision.notices.append(.fenced(transactionalId: id, producerId: existing.producerId))
      abort(fencing: existing, level: level, now, &decision)
      return .decided(.init(refusing: .concurrentTransactions), decision)
    case .empty, .completeCommit, .completeAbort:
      return renew(existing, expected: expected, freshId: freshId, request, now)
    }
  }

  private mutating func renew(
    _ existing: Transaction, expected: ClaimedProducer?, freshId: Int64?, _ request: InitProducerIdRequest,
    _ now: Moment
  ) -> TransactionStep<InitProducerIdResponse> {
    var renewed = existing
    let isOwner = expected.map { $0.epoch == existing.producerEpoch } ?? true
    if existing.isEpochExhausted, isOwner || existing.hasLastEpoch && expected?.epoch == existing.lastProducerEpoch {
      guard let freshId else { return .needsProducerId }
      renewed.producerId = freshId
      renewed.producerEpoch = Transaction.noEpoch
      return begin(
        renewed, epochBefore: expected == nil ? Transaction.noEpoch : existing.producerEpoch, request, now)
    }
    guard let expected else { return begin(renewed, epochBefore: Transaction.noEpoch, request, now) }
    if expected.epoch == existing.producerEpoch || existing.producerEpoch == Transaction.noEpoch {
      return begin(renewed, epochBefore: existing.producerEpoch, request, now)
    }
    guard expected.epoch == existing.lastProducerEpoch else { return .refused(.init(refusing: .producerFenced)) }
    // The retry of a request whose answer was lost. Nobody else came in between: that would have cleared the last epoch.
    return finish(renewed, request, now)
  }

  private mutating func begin(
    _ transaction: Transaction, epochBefore: Int16, _ request: InitProducerIdRequest, _ now: Moment
  ) -> TransactionStep<InitProducerIdResponse> {
    var transaction = transaction
    transaction.raiseEpoch()
    transaction.lastProducerEpoch = epochBefore
    return finish(transaction, request, now)
  }

  private mutating func finish(
    _ transaction: Transaction, _ request: InitProducerIdRequest, _ now: Moment
  ) -> TransactionStep<InitProducerIdResponse> {
    var transaction = transaction
    transaction.state = .empty
    transaction.nextProducerId = Transaction.noProducerId
    transaction.timeoutMs = request.transactionTimeoutMs
    transaction.partitions = []
    transaction.startMs = Transaction.noTimestamp
    transaction.lastUpdateMs = now.wallMs
    var decision = TransactionDecision()
    put(transaction, &decision)
    decision.notices.append(
      .initialized(
        transactionalId: transaction.transactionalId, producerId: transaction.producerId,
        producerEpoch: transaction.producerEpoch))
    return .decided(
      InitProducerIdResponse(producerId: transaction.producerId, producerEpoch: transaction.producerEpoch), decision)
  }
}

/// Who a producer says it is.
private struct ClaimedProducer {
  var id: Int64
  var epoch: Int16

  /// It may be the id's producer, or be one whose epochs were used up and who never heard of its new id. The epoch is
  /// looked at when it is raised.
  func couldBe(_ transaction: Transaction) -> Bool {
    transaction.producerEpoch == Transaction.noEpoch || id == transaction.producerId
      || (id == transaction.previousProducerId && Transaction.isExhausted(epoch))
  }
}

extension InitProducerIdResponse {
  package init(refusing error: ErrorCode) {
    self.init(errorCode: error.rawValue, producerId: -1, producerEpoch: -1)
  }
}
