// The public face of share groups. Behind it: `ShareFetcher` fetches and hands out, `HeartbeatMember` takes part in the
// group.

import MillraceProtocol
import NIOCore
import Synchronization

/// Takes records off topics together with the other members of a share group, as from a queue (KIP-932).
///
/// Each record is delivered to one member, under a lock. It is done with when that member accepts or rejects it. When
/// the member releases it, or does not come back before the lock runs out, somebody gets it again, as many times as the
/// group's delivery limit allows. There may be more members than partitions, and records are not in order.
///
/// ```swift
/// let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
/// let consumer = try await ShareConsumer(ShareConsumerConfiguration(client, groupId: "mailers"))
/// try await consumer.subscribe(to: ["mails"])
/// for try await record in consumer.records {
///   if await !isSent(record.value) { try consumer.acknowledge(record, .release) }
/// }
/// await consumer.close()
/// ```
///
/// A record that nothing was said of is accepted when the application asks for the next one. With
/// ``ShareConsumerConfiguration/acknowledgementMode`` `.explicit` only `acknowledge` accepts, so that several records
/// can be processed at a time. Iterate in one task at a time; acknowledge from any.
public final class ShareConsumer: Sendable {
  private let cluster: Cluster
  private let member: HeartbeatMember
  let fetcher: ShareFetcher
  let tracing: RecordTracing?

  /// Connects to the cluster.
  ///
  /// - Throws: `KafkaError` with code `.connectionFailed` when no bootstrap server answers, `.configuration` when the
  ///   configuration cannot work.
  public init(_ configuration: ShareConsumerConfiguration) async throws(KafkaError) {
    try configuration.check()
    cluster = try await Cluster.connect(configuration.client)
    fetcher = ShareFetcher(configuration, cluster)
    tracing = RecordTracing(configuration.client, group: configuration.groupId)
    member = HeartbeatMember(
      group: configuration.groupId,
      HeartbeatMembership.Settings(
        memberId: fetcher.memberId, rack: configuration.rack,
        maxPollInterval: TimeAmount(configuration.maxPollInterval), reconciles: false,
        backoff: Backoff(configuration.client)),
      cluster, fetcher)
  }

  deinit {
    member.abandon()
    fetcher.abandon()
    cluster.close()
  }

  /// Joins the group and takes records of these topics. Calling it again changes the topics.
  ///
  /// - Throws: `KafkaError` with code `.invalidArgument` without a topic. What the group answers comes out of
  ///   ``records``.
  public func subscribe(to topics: [String]) async throws(KafkaError) {
    guard !topics.isEmpty else { throw KafkaError(.invalidArgument, "there is no topic to subscribe to") }
    member.subscribe(to: .topics(Set(topics)))
    fetcher.start()
  }

  /// The partitions that this member takes records of at the moment.
  public var assignment: [TopicPartition] { fetcher.partitions }

  /// For how long a record is locked for whoever has it, as brokers last said; nil before the first fetch.
  public var lockTimeout: Duration? { fetcher.lockTimeout }

  /// The records as they come. Ends when the consumer is closed.
  public var records: ShareRecords { ShareRecords(consumer: self) }

  /// Says what became of a record. The broker hears of it with the next fetch, within
  /// ``ShareConsumerConfiguration/acknowledgementInterval``, or by ``commit()``.
  ///
  /// - Throws: `KafkaError` with broker code `.invalidRecordState` when the record was acknowledged already, or its lock
  ///   has run out, so that it is delivered again.
  public func acknowledge(_ record: ShareRecord, _ type: Acknowledgement = .accept) throws(KafkaError) {
    try fetcher.acknowledge(record, type)
  }

  /// Sends all acknowledgements, with implicit ones accepting what was handed out, and waits for the answers.
  ///
  /// - Returns: for each partition with acknowledgements since the last commit whether the broker took them all. Of
  ///   those that it did not take the records are delivered again. ``ShareConsumerConfiguration/onAcknowledged`` tells
  ///   which these are.
  @discardableResult
  public func commit() async throws(KafkaError) -> [TopicPartition: Result<Void, KafkaError>] {
    try await fetcher.flush()
  }

  /// Sends the acknowledgements that there are, releases all other records that this member has for others to take,
  /// leaves the group and closes the connections. What was handed out last is not accepted by this: see ``commit()``.
  public func close() async {
    await member.leave()
    cluster.close()
  }
}

/// The records that a share consumer takes.
public struct ShareRecords: AsyncSequence, Sendable {
  /// Kept, so that the consumer stays while somebody iterates.
  let consumer: ShareConsumer
  var endsOnGracefulShutdown = false

  public struct AsyncIterator: AsyncIteratorProtocol {
    let consumer: ShareConsumer
    let endsOnGracefulShutdown: Bool

    public mutating func next() async throws(KafkaError) -> ShareRecord? {
      try await next(isolation: nil)
    }

    public mutating func next(isolation actor: isolated (any Actor)?) async throws(KafkaError) -> ShareRecord? {
      try await consumer.fetcher.next(endsOnGracefulShutdown: endsOnGracefulShutdown)
    }
  }

  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(consumer: consumer, endsOnGracefulShutdown: endsOnGracefulShutdown)
  }
}
