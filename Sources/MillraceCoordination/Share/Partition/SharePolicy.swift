// How a share group treats the records of its partitions: the group's configs, resolved, under Kafka's names and with
// Kafka's defaults; the last three are this broker's own.

package struct SharePolicy: Sendable, Equatable {
  /// `group.share.delivery.count.limit`: deliveries after which a record that comes back is given up.
  package var deliveryCountLimit: Int16 = 5
  /// `group.share.record.lock.duration.ms`
  package var recordLockDurationMs: Int64 = 30_000
  /// `group.share.partition.max.record.locks`: records in flight up to which new ones are acquired.
  package var maxRecordLocks = 2_000
  /// The group has a dead-letter topic, so a record that is given up is archived only once its letter is written.
  package var hasDeadLetters = false
  /// `millrace.share.retry.backoff.ms`: the delay after a first delivery that failed; 0 for none.
  package var retryBackoffMs: Int64 = 0
  /// `millrace.share.retry.backoff.max.ms`: what the delay grows to at most. Below the first delay it has no effect.
  package var retryBackoffMaxMs: Int64 = 60_000

  package init() {}

  /// From this many deliveries on, fewer and fewer records are handed out together, so that one that brings its
  /// consumer down takes no others with it (as in Kafka 4.2).
  var throttledFrom: Int16 { max(2, deliveryCountLimit / 2 + deliveryCountLimit % 2) }

  /// The last delivery that a record gets is given to it alone.
  func isLastDelivery(after deliveryCount: Int16) -> Bool {
    deliveryCountLimit > 2 && deliveryCount >= deliveryCountLimit - 1
  }

  /// How many of an in-flight batch go out together when one of them was delivered this often already.
  func share(ofBatch size: Int64, after deliveryCount: Int16) -> Int64 {
    if isLastDelivery(after: deliveryCount) { return 1 }
    return max(1, size >> (Int64(deliveryCount) - Int64(throttledFrom) + 1))
  }

  /// The delay before the next delivery, doubling with each one, and up to a fifth shorter or longer.
  /// - Parameter chance: in 0..<1
  func retryDelayMs(after deliveryCount: Int16, chance: Double) -> Int64 {
    guard retryBackoffMs > 0 else { return 0 }
    let most = max(retryBackoffMs, retryBackoffMaxMs)
    let doublings = Int64(min(max(deliveryCount, 1) - 1, 40))
    let (delay, overflow) = retryBackoffMs.multipliedReportingOverflow(by: 1 << doublings)
    let term = Double(overflow ? most : min(delay, most))
    return min(most, Int64(clamping: Int128(term * (0.8 + 0.4 * chance))))
  }
}
