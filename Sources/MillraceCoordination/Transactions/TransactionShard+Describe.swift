// DescribeTransactions and ListTransactions (KIP-664): what there is, without changing it.

import MillraceProtocol

extension TransactionShard {
  package func describe(_ transactionalId: String) -> DescribeTransactionsResponse.TransactionState {
    guard !transactionalId.isEmpty else { return .init(refusing: .invalidRequest, transactionalId) }
    guard let transaction = transactions[transactionalId] else {
      return .init(refusing: .transactionalIdNotFound, transactionalId)
    }
    return DescribeTransactionsResponse.TransactionState(
      transactionalId: transactionalId, transactionState: transaction.state.name,
      transactionTimeoutMs: transaction.timeoutMs, transactionStartTimeMs: transaction.startMs,
      producerId: transaction.producerId, producerEpoch: transaction.producerEpoch,
      topics: Dictionary(grouping: transaction.partitions, by: \.topic).sorted { $0.key < $1.key }.map {
        topic, partitions in
        .init(topic: topic, partitions: partitions.map(\.partition).sorted())
      })
  }

  /// An empty filter lets everything pass. A duration of 0 or more lets those pass that began longer ago (KIP-994).
  /// `pattern` is the filter's, and has to match the whole transactional id (KIP-1152).
  package func list(
    _ filter: ListTransactionsRequest, pattern: RegularExpression?, now: Moment
  ) -> [ListTransactionsResponse.TransactionState] {
    let states = Set(filter.stateFilters)
    let producerIds = Set(filter.producerIdFilters)
    return transactions.values
      .filter { transaction in
        (producerIds.isEmpty || producerIds.contains(transaction.producerId))
          && (states.isEmpty || states.contains(transaction.state.name))
          && (filter.durationFilter < 0 || transaction.hasRun(longerThan: filter.durationFilter, at: now.wallMs))
          && (pattern?.wholeMatch(transaction.transactionalId) ?? true)
      }
      .sorted { $0.transactionalId < $1.transactionalId }
      .map {
        .init(transactionalId: $0.transactionalId, producerId: $0.producerId, transactionState: $0.state.name)
      }
  }

  /// The names in a filter that no state has.
  package static func unknownStates(in filter: [String]) -> [String] {
    let known = Set(TransactionState.allCases.map(\.name)).union(TransactionState.transientNames)
    return filter.filter { !known.contains($0) }
  }
}

extension Transaction {
  fileprivate func hasRun(longerThan durationMs: Int64, at nowMs: Int64) -> Bool {
    let (age, overflow) = nowMs.subtractingReportingOverflow(startMs)
    return overflow || age > durationMs
  }
}

extension DescribeTransactionsResponse.TransactionState {
  package init(refusing error: ErrorCode, _ transactionalId: String) {
    self.init(errorCode: error.rawValue, transactionalId: transactionalId)
  }
}
