// The settings that the transaction coordinator obeys, under Kafka's names and with Kafka's defaults.

package struct TransactionConfig: Sendable, Equatable {
  /// `transaction.max.timeout.ms`
  package var maxTimeoutMs: Int32 = 900_000
  /// `transactional.id.expiration.ms`
  package var idExpirationMs: Int64 = 604_800_000

  package init() {}
}
