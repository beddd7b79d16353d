// What handlers ask of the coordinator. Answers come once, on any thread, when they are durable.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

extension TransactionRuntime {
  package func initProducerId(
    _ request: InitProducerIdRequest, _ answer: @escaping @Sendable (InitProducerIdResponse) -> Void
  ) {
    decide(request.transactionalId ?? "") { shard, freshId, level, now in
      shard.initProducerId(request, freshId: freshId, level: level, now: now)
    } then: { outcome in
      answer(outcome.recover { InitProducerIdResponse(refusing: $0) })
    }
  }

  package func end(
    _ request: EndTxnRequest, version: Int16, _ answer: @escaping @Sendable (EndTxnResponse) -> Void
  ) {
    decide(request.transactionalId) { shard, freshId, _, now in
      shard.end(request, version: version, freshId: freshId, now: now)
    } then: { outcome in
      answer(outcome.recover { EndTxnResponse(refusing: $0) })
    }
  }

  /// Lets the shard decide, with a new producer id if it needs one.
  private func decide<Answer: Sendable>(
    _ transactionalId: String, freshId: Int64? = nil,
    _ event:
      @escaping @Sendable (inout TransactionShard, _ freshId: Int64?, _ level: Int16, Moment) -> TransactionStep<Answer>,
    then outcome: @escaping @Sendable (Result<Answer, ErrorCode>) -> Void
  ) {
    guard let shard = shard(for: transactionalId) else { return outcome(.failure(.notCoordinator)) }
    shard.decide { shard, level, now -> (Answer?, TransactionDecision) in
      switch event(&shard, freshId, level, now) {
      case .decided(let answer, let decision): (answer, decision)
      case .needsProducerId: (nil, TransactionDecision())
      }
    } then: { [self] result in
      switch result {
      case .failure(let error): outcome(.failure(error))
      case .success(let answer?): outcome(.success(answer))
      case .success(nil):
        catalog.allocateProducerId { [self] allocated in
          switch allocated {
          case .success(let id): decide(transactionalId, freshId: id, event, then: outcome)
          case .failure: outcome(.failure(.coordinatorNotAvailable))
          }
        }
      }
    }
  }

  /// Who asks for a partition of a transaction.
  struct Claim: Sendable {
    var transactionalId: String
    var producerId: Int64
    var producerEpoch: Int16
  }

  /// Adds the partitions to the producer's transaction, and begins one if none is open. While the outcome of the one
  /// before is being written, that is waited for, up to `add.partitions.to.txn.retry.backoff.max.ms`; only then the
  /// answer is CONCURRENT_TRANSACTIONS.
  func addPartitions(
    _ partitions: [TransactionPartition], _ claim: Claim, clientVersion: Int16, mayWait: Bool = true,
    _ answer: @escaping @Sendable (ErrorCode) -> Void
  ) {
    guard let shard = shard(for: claim.transactionalId) else { return answer(.notCoordinator) }
    shard.decide { shard, _, now in
      shard.addPartitions(
        partitions, to: claim.transactionalId, producerId: claim.producerId, producerEpoch: claim.producerEpoch,
        clientVersion: clientVersion, now: now)
    } then: { [self] outcome in
      let error = outcome.recover { $0 }
      guard error == .concurrentTransactions, mayWait else { return answer(error) }
      whenComplete(claim.transactionalId) { [self] in
        addPartitions(partitions, claim, clientVersion: clientVersion, mayWait: false, answer)
      }
    }
  }

  /// Calls `body` once, when no outcome of the id is being written any more, or when that has taken too long to wait.
  func whenComplete(_ transactionalId: String, _ body: @escaping @Sendable () -> Void) {
    guard let shard = shard(for: transactionalId) else { return body() }
    shard.whenComplete(transactionalId, within: patience, body)
  }

  /// Whether each of the partitions is in the producer's transaction.
  func verify(
    _ partitions: [TransactionPartition], _ claim: Claim, _ answer: @escaping @Sendable ([ErrorCode]) -> Void
  ) {
    guard let shard = shard(for: claim.transactionalId) else {
      return answer(partitions.map { _ in .notCoordinator })
    }
    shard.read { shard, _ in
      shard.verify(
        partitions, in: claim.transactionalId, producerId: claim.producerId, producerEpoch: claim.producerEpoch)
    } then: { outcome in
      answer(outcome.recover { error in partitions.map { _ in error } })
    }
  }

  /// In the order of `transactionalIds`.
  package func describe(
    _ transactionalIds: [String],
    _ answer: @escaping @Sendable ([DescribeTransactionsResponse.TransactionState]) -> Void
  ) {
    let gathering = Gathering(count: transactionalIds.count, answer)
    for (index, id) in transactionalIds.enumerated() {
      guard let shard = shard(for: id) else {
        gathering.put(.init(refusing: id.isEmpty ? .invalidRequest : .notCoordinator, id), at: index)
        continue
      }
      shard.read { shard, _ in
        shard.describe(id)
      } then: { outcome in
        gathering.put(outcome.recover { .init(refusing: $0, id) }, at: index)
      }
    }
  }

  /// All transactions that pass, or the error of the pattern, or of a shard that is still being read.
  package func list(
    _ request: ListTransactionsRequest, _ answer: @escaping @Sendable (ListTransactionsResponse) -> Void
  ) {
    let pattern: RegularExpression?
    do {
      pattern = try request.transactionalIdPattern.flatMap { $0.isEmpty ? nil : try RegularExpression($0) }
    } catch {
      return answer(ListTransactionsResponse(errorCode: ErrorCode.invalidRegularExpression.rawValue))
    }
    let shards = self.shards
    typealias Listed = Result<[ListTransactionsResponse.TransactionState], ErrorCode>
    let gathering = Gathering<Listed>(count: shards.count) { outcomes in
      var response = ListTransactionsResponse(
        unknownStateFilters: TransactionShard.unknownStates(in: request.stateFilters))
      for outcome in outcomes {
        switch outcome {
        case .success(let states): response.transactionStates += states
        case .failure(.notCoordinator): break
        case .failure(let error): return answer(ListTransactionsResponse(errorCode: error.rawValue))
        }
      }
      answer(response)
    }
    for (index, shard) in shards.enumerated() {
      shard.read {
        $0.list(request, pattern: pattern, now: $1)
      } then: {
        gathering.put($0, at: index)
      }
    }
  }
}
