// What the body of a transaction is given to write with.

/// An open transaction of a ``TransactionalProducer``. It is of no use after the body that it was given to.
public struct Transaction: Sendable {
  private let producer: Producer
  private let session: TransactionSession

  init(_ producer: Producer, _ session: TransactionSession) {
    self.producer = producer
    self.session = session
  }

  /// Sends a record and waits until it is written. That it is does not mean that it is committed.
  @discardableResult
  public func send(_ record: ProducerRecord) async throws(KafkaError) -> RecordMetadata {
    try session.check()
    return try await producer.send(record)
  }

  /// Hands a record over to be sent, and waits only while the buffer is full. If it cannot be written, the transaction
  /// is aborted.
  public func enqueue(_ record: ProducerRecord, token: UInt64 = 0) async throws(KafkaError) {
    try session.check()
    try await producer.enqueue(record, token: token)
  }

  /// Commits what `consumer` handed out so far, when the transaction is.
  ///
  /// The consumer must not commit periodically, and what it read is committed only if it still has the partitions then.
  public func commit(of consumer: Consumer) async throws(KafkaError) {
    try await commit(consumer.handedOut(), of: consumer)
  }

  /// Commits these offsets for the group of `consumer`, when the transaction is committed.
  public func commit(_ offsets: [TopicPartition: OffsetAndMetadata], of consumer: Consumer) async throws(KafkaError) {
    guard consumer.configuration.autoCommitInterval == nil else {
      throw KafkaError(
        .invalidArgument, "the consumer commits periodically; set autoCommitInterval to nil to commit in transactions")
    }
    let identity = try consumer.groupIdentity()
    try consumer.requireKept(offsets.keys)
    try await commit(offsets, identity)
  }

  /// Commits these offsets for a group of which nobody is a member, when the transaction is committed.
  public func commit(_ offsets: [TopicPartition: OffsetAndMetadata], ofGroup group: String) async throws(KafkaError) {
    try await commit(offsets, GroupIdentity(group: group))
  }

  /// Beside the task: a request that was given up could arrive after the transaction has ended.
  private func commit(
    _ offsets: [TopicPartition: OffsetAndMetadata], _ group: GroupIdentity
  ) async throws(KafkaError) {
    let result = await Task { [session] () async -> Result<Void, KafkaError> in
      do throws(KafkaError) {
        return .success(try await session.commit(offsets, group))
      } catch {
        return .failure(error)
      }
    }.value
    try result.get()
  }
}
