// The public face of consuming. Behind it: `Fetcher` fetches and hands out, a `GroupMember` takes part in a group.

import MillraceProtocol
import NIOCore
import ServiceLifecycle
import Synchronization

/// Reads records from a Kafka cluster.
///
/// By hand, all partitions of a topic from the beginning:
///
/// ```swift
/// let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
/// let consumer = try await Consumer(ConsumerConfiguration(client))
/// try await consumer.assign(topics: ["orders"], from: .earliest)
/// for try await record in consumer.records { print(record.offset) }
/// ```
///
/// Or as a member of a group that shares the partitions among its members and remembers how far it has come:
///
/// ```swift
/// let consumer = try await Consumer(ConsumerConfiguration(client, groupId: "billing"))
/// try await consumer.subscribe(to: ["orders"])
/// for try await batch in consumer.batches {
///   for record in batch { try await bill(record) }
///   try await consumer.commit()
/// }
/// await consumer.close()
/// ```
///
/// What was handed out counts as processed when the application asks for more: that is what is committed periodically,
/// and a rebalance waits for it. So after a failure records may be read again, but none is left out. Iterate in one task
/// at a time.
public final class Consumer: Sendable {
  let configuration: ConsumerConfiguration
  private let cluster: Cluster
  let fetcher: Fetcher
  private let member = Mutex<(any GroupMember)?>(nil)
  private let committer: OffsetCommitter?
  let tracing: RecordTracing?

  /// Connects to the cluster.
  ///
  /// - Throws: `KafkaError` with code `.connectionFailed` when no bootstrap server answers, `.configuration` when the
  ///   configuration cannot work.
  public init(_ configuration: ConsumerConfiguration) async throws(KafkaError) {
    try configuration.check()
    var configuration = configuration
    let metrics = ConsumerMetrics(configuration.client)
    if let metrics {
      configuration.onRebalance = { [next = configuration.onRebalance] event in
        metrics.rebalanced(event)
        await next?(event)
      }
    }
    self.configuration = configuration
    tracing = RecordTracing(configuration.client, group: configuration.groupId)
    cluster = try await Cluster.connect(configuration.client)
    let identity = configuration.groupId.map { CurrentIdentity(GroupIdentity(group: $0)) }
    let fetcher = Fetcher(configuration, cluster, identity, metrics)
    self.fetcher = fetcher
    committer = identity.map { [cluster] in OffsetCommitter(configuration, cluster, fetcher, $0) }
  }

  deinit {
    member.withLock { $0?.abandon() }
    committer?.stop()
    fetcher.close()
    cluster.close()
  }

  // MARK: What to read

  /// Joins the group and reads what it assigns to this member.
  ///
  /// Calling it again changes the topics.
  ///
  /// - Throws: `KafkaError` with code `.invalidArgument` without a group id or without a topic. What the group answers
  ///   comes out of ``batches`` and ``records``.
  public func subscribe(to topics: [String]) async throws(KafkaError) {
    guard !topics.isEmpty else { throw KafkaError(.invalidArgument, "there is no topic to subscribe to") }
    try subscribe(to: .topics(Set(topics)))
  }

  /// Joins the group and reads what it assigns to this member of all topics whose whole name matches a pattern, also of
  /// those that are created later. The broker evaluates it, so that all members mean the same (KIP-848).
  ///
  /// Needs ``ConsumerConfiguration/groupProtocol`` `.consumer`. Calling it again changes the topics.
  ///
  /// - Parameter pattern: a regular expression of RE2, as in `orders-.*`.
  public func subscribe(matching pattern: String) async throws(KafkaError) {
    guard !pattern.isEmpty else { throw KafkaError(.invalidArgument, "the pattern is empty") }
    try subscribe(to: .pattern(pattern))
  }

  private func subscribe(to subscription: Subscription) throws(KafkaError) {
    guard let committer else {
      throw KafkaError(.invalidArgument, "to subscribe needs a group id; without one, assign partitions")
    }
    let current = member.withLock { member in
      let current = member ?? makeMember(committer)
      member = current
      return current
    }
    try current.subscribe(to: subscription)
    committer.start()
  }

  private func makeMember(_ committer: OffsetCommitter) -> any GroupMember {
    switch configuration.groupProtocol {
    case .classic:
      ClassicMember(group: committer.group, configuration, cluster, fetcher, committer)
    case .consumer:
      HeartbeatMember(
        group: committer.group,
        HeartbeatMembership.Settings(
          memberId: Uuid.random().description, groupInstanceId: configuration.groupInstanceId,
          rack: configuration.rack, assignor: configuration.remoteAssignor,
          maxPollInterval: TimeAmount(configuration.maxPollInterval), reconciles: true,
          backoff: Backoff(configuration.client)),
        cluster,
        ConsumerGroupReader(
          group: committer.group, configuration: configuration, cluster: cluster, fetcher: fetcher,
          committer: committer))
    }
  }

  /// Reads these partitions and no others, without sharing them. With a group id, offsets can be committed all the same.
  public func assign(_ partitions: [TopicPartition: StartPosition]) async throws(KafkaError) {
    guard member.withLock({ $0 == nil }) else {
      throw KafkaError(.invalidArgument, "the consumer is subscribed, so its group assigns the partitions")
    }
    for topic in Set(partitions.keys.map(\.topic)) {
      let metadata = try await cluster.topic(topic)
      for partition in partitions.keys where partition.topic == topic && metadata[partition: partition.partition] == nil
      {
        throw KafkaError(
          .invalidArgument,
          "topic '\(topic)' has no partition \(partition.partition); it has \(metadata.partitions.count), counted from 0"
        )
      }
    }
    fetcher.assign(partitions)
    committer?.start()
  }

  /// Reads all partitions of these topics and no others, without sharing them.
  public func assign(topics: [String], from start: StartPosition) async throws(KafkaError) {
    var partitions: [TopicPartition: StartPosition] = [:]
    for topic in topics {
      for partition in try await cluster.topic(topic).partitions {
        partitions[TopicPartition(topic, partition.index)] = start
      }
    }
    try await assign(partitions)
  }

  /// The partitions that are read at the moment.
  public var assignment: [TopicPartition] {
    fetcher.read { $0.partitions.keys.sorted() }
  }

  /// Goes on reading a partition at another place.
  public func seek(_ partition: TopicPartition, to start: StartPosition) async throws(KafkaError) {
    guard fetcher.change({ $0.seek(partition, to: start) }) else { throw Self.notAssigned(partition) }
  }

  /// Hands out nothing of these partitions until `resume`.
  public func pause(_ partitions: [TopicPartition]) throws(KafkaError) {
    try setPaused(partitions, true)
  }

  /// Hands out records of these partitions again, from where each was paused.
  public func resume(_ partitions: [TopicPartition]) throws(KafkaError) {
    try setPaused(partitions, false)
  }

  private func setPaused(_ partitions: [TopicPartition], _ isPaused: Bool) throws(KafkaError) {
    for partition in partitions {
      guard fetcher.change({ $0.setPaused(partition, isPaused) }) else { throw Self.notAssigned(partition) }
    }
  }

  private static func notAssigned(_ partition: TopicPartition) -> KafkaError {
    KafkaError(.invalidArgument, "partition \(partition) is not assigned to this consumer")
  }

  /// The offset of the next record that will be handed out; nil when it is not known yet.
  public func position(of partition: TopicPartition) -> Int64? {
    fetcher.read { assignment in
      assignment.partitions[partition].flatMap { $0.start == nil && $0.position >= 0 ? $0.position : nil }
    }
  }

  /// The end of a partition as of the last fetch; nil when there was none.
  public func highWatermark(of partition: TopicPartition) -> Int64? {
    fetcher.read { $0.partitions[partition]?.highWatermark }
  }

  // MARK: Reading

  /// The records as they come, in batches of one partition each. Ends when the consumer is closed, and with
  /// ``ConsumerConfiguration/stopAtEnd`` at the end of all partitions.
  public var batches: ConsumerBatches { ConsumerBatches(consumer: self) }

  /// The records as they come, one by one.
  public var records: ConsumerRecords { ConsumerRecords(consumer: self) }

  // MARK: Committing

  /// Commits what was handed out so far: whole batches from `batches`, single records from `records`.
  public func commit() async throws(KafkaError) {
    try await requireCommitter().commit(fetcher.read { $0.positions(includingHandedOut: true) })
  }

  /// Commits these offsets.
  public func commit(_ offsets: [TopicPartition: OffsetAndMetadata]) async throws(KafkaError) {
    try await requireCommitter().commit(offsets)
  }

  /// Commits a record, and with it all before it of its partition.
  ///
  /// ```swift
  /// for try await record in consumer.records {
  ///   try await bill(record)
  ///   try await consumer.commit(record)
  /// }
  /// ```
  public func commit(_ record: ConsumerRecord) async throws(KafkaError) {
    let next = OffsetAndMetadata(offset: record.offset &+ 1, leaderEpoch: record.leaderEpoch)
    try await commit([record.topicPartition: next])
  }

  /// What the group committed for these partitions; those without are left out.
  public func committed(
    _ partitions: [TopicPartition]
  ) async throws(KafkaError) -> [TopicPartition: OffsetAndMetadata] {
    try await cluster.committedOffsets(of: try requireCommitter().group, partitions)
  }

  /// What was handed out so far, for a transaction.
  ///
  /// - Throws: when some of it is of partitions that are not this consumer's any more: somebody else reads it again.
  func handedOut() throws(KafkaError) -> [TopicPartition: OffsetAndMetadata] {
    let (positions, lost) = fetcher.read { ($0.positions(includingHandedOut: true), $0.lostInHand) }
    try Self.refuse(lost)
    return positions
  }

  /// - Throws: when one of these partitions was taken away while the application had records of it.
  func requireKept(_ partitions: some Sequence<TopicPartition>) throws(KafkaError) {
    try Self.refuse(fetcher.read { $0.lostInHand }.intersection(partitions))
  }

  private static func refuse(_ lost: Set<TopicPartition>) throws(KafkaError) {
    guard let partition = lost.min() else { return }
    throw KafkaError(
      .broker,
      "partition \(partition) was taken away while its records were being processed; another member reads them again",
      brokerCode: .unknownMemberId)
  }

  func groupIdentity() throws(KafkaError) -> GroupIdentity {
    try requireCommitter().currentIdentity
  }

  private func requireCommitter() throws(KafkaError) -> OffsetCommitter {
    guard let committer else { throw KafkaError(.invalidArgument, "committed offsets need a group id") }
    return committer
  }

  /// Commits what was handed out if that happens periodically, leaves the group and closes the connections.
  public func close() async {
    // First, so that nothing is handed out behind what is committed.
    fetcher.close()
    if let member = member.withLock({ $0 }) {
      await member.leave()
    } else if let committer {
      await committer.finish()
    }
    committer?.stop()
    cluster.close()
  }
}

/// The batches that a consumer reads.
public struct ConsumerBatches: AsyncSequence, Sendable {
  /// Kept, so that the consumer stays while somebody iterates.
  let consumer: Consumer
  var endsOnGracefulShutdown = false

  public struct AsyncIterator: AsyncIteratorProtocol {
    let consumer: Consumer
    let endsOnGracefulShutdown: Bool

    public mutating func next() async throws(KafkaError) -> RecordBatch? {
      try await next(isolation: nil)
    }

    public mutating func next(isolation actor: isolated (any Actor)?) async throws(KafkaError) -> RecordBatch? {
      try await consumer.fetcher.next(endsOnGracefulShutdown: endsOnGracefulShutdown)
    }
  }

  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(consumer: consumer, endsOnGracefulShutdown: endsOnGracefulShutdown)
  }
}

/// The records that a consumer reads.
public struct ConsumerRecords: AsyncSequence, Sendable {
  /// Kept, so that the consumer stays while somebody iterates.
  let consumer: Consumer
  var endsOnGracefulShutdown = false

  public struct AsyncIterator: AsyncIteratorProtocol {
    let consumer: Consumer
    let endsOnGracefulShutdown: Bool
    private var records: RecordBatch.Iterator?
    private var cursor = Assignment.RecordCursor(0, end: 0)

    init(consumer: Consumer, endsOnGracefulShutdown: Bool) {
      self.consumer = consumer
      self.endsOnGracefulShutdown = endsOnGracefulShutdown
    }

    public mutating func next() async throws(KafkaError) -> ConsumerRecord? {
      try await next(isolation: nil)
    }

    public mutating func next(isolation actor: isolated (any Actor)?) async throws(KafkaError) -> ConsumerRecord? {
      while true {
        if !cursor.isStale, !(endsOnGracefulShutdown && Task.isShuttingDownGracefully) {
          if let record = records?.next() {
            if cursor.advance(to: record.offset &+ 1) { return record }
          } else {
            cursor.finish()
          }
        }
        records = nil
        var following: Assignment.RecordCursor?
        let batch = try await consumer.fetcher.next(endsOnGracefulShutdown: endsOnGracefulShutdown) { batch in
          following = Assignment.RecordCursor(batch.position, end: batch.lastOffset &+ 1)
          return following
        }
        guard let batch else { return nil }
        if let following { cursor = following }
        records = batch.makeIterator()
      }
    }
  }

  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(consumer: consumer, endsOnGracefulShutdown: endsOnGracefulShutdown)
  }
}
