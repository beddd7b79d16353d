import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceBroker

@Suite struct `Fetch sessions` {
  private let now = ContinuousClock.now

  private func request(_ partitions: [Int32], session: Int32 = 0, epoch: Int32 = 0, forgotten: [Int32] = [])
    -> FetchRequest
  {
    FetchRequest(
      maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, sessionId: session, sessionEpoch: epoch,
      topics: partitions.isEmpty
        ? [] : [.init(topic: "t", partitions: partitions.map { .init(partition: $0, partitionMaxBytes: 1 << 20) })],
      forgottenTopicsData: forgotten.isEmpty ? [] : [.init(topic: "t", partitions: forgotten)])
  }

  private func results(_ context: FetchSessionCache.Context, highWatermark: Int64 = 0) -> [FetchResult] {
    context.partitions.map {
      FetchResult(key: $0.key, data: .init(partitionIndex: $0.key.partition, highWatermark: highWatermark))
    }
  }

  private func open(_ cache: FetchSessionCache, _ partitions: [Int32], at now: ContinuousClock.Instant? = nil) -> Int32
  {
    let context = cache.context(for: request(partitions), version: 12, now: now ?? self.now)
    return cache.conclude(context, results(context), version: 12, now: now ?? self.now).sessionId
  }

  @Test func `a full fetch gets a session and every partition in its answer`() {
    let cache = FetchSessionCache(capacity: 10)
    let context = cache.context(for: request([0, 1]), version: 12, now: now)
    let answer = cache.conclude(context, results(context), version: 12, now: now)
    #expect(answer.sessionId != 0)
    #expect(answer.results.map(\.key.partition) == [0, 1])
  }

  @Test func `a partition that a fetch names again and again is fetched once`() {
    let cache = FetchSessionCache(capacity: 10)
    for epoch: Int32 in [FetchSessionCache.initialEpoch, FetchSessionCache.finalEpoch] {
      let named = request([0, 1, 0, 0, 1], epoch: epoch)
      #expect(cache.context(for: named, version: 12, now: now).partitions.map(\.key.partition) == [0, 1])
    }
  }

  @Test func `an incremental fetch asks for everything and is told only what changed`() {
    let cache = FetchSessionCache(capacity: 10)
    let id = open(cache, [0, 1])
    let context = cache.context(for: request([], session: id, epoch: 1), version: 12, now: now)
    #expect(context.partitions.map(\.key.partition) == [0, 1])
    var found = results(context)
    found[1].data.highWatermark = 7
    let answer = cache.conclude(context, found, version: 12, now: now)
    #expect(answer.results.map(\.key.partition) == [1])
    #expect(answer.sessionId == id)
  }

  @Test func `a forgotten partition is no longer asked`() {
    let cache = FetchSessionCache(capacity: 10)
    let id = open(cache, [0, 1, 2])
    let context = cache.context(for: request([], session: id, epoch: 1, forgotten: [1]), version: 12, now: now)
    #expect(context.partitions.map(\.key.partition) == [0, 2])
  }

  @Test func `an error is told again until it is gone, and its end is told too`() {
    let cache = FetchSessionCache(capacity: 10)
    let id = open(cache, [0])
    for epoch in 1...2 as ClosedRange<Int32> {
      let context = cache.context(for: request([], session: id, epoch: epoch), version: 12, now: now)
      let failed = [FetchResult(key: context.partitions[0].key, error: .kafkaStorageError)]
      #expect(cache.conclude(context, failed, version: 12, now: now).results.count == 1)
    }
    let context = cache.context(for: request([], session: id, epoch: 3), version: 12, now: now)
    #expect(cache.conclude(context, results(context), version: 12, now: now).results.count == 1)
  }

  @Test func `a wrong epoch, an unknown session and mixed naming are refused`() {
    let cache = FetchSessionCache(capacity: 10)
    let id = open(cache, [0])
    func code(_ request: FetchRequest, version: Int16 = 12) -> ErrorCode? {
      guard case .error(let code) = cache.context(for: request, version: version, now: now) else { return nil }
      return code
    }
    #expect(code(request([], session: id, epoch: 2)) == .invalidFetchSessionEpoch)
    #expect(code(request([], session: id &+ 1, epoch: 1)) == .fetchSessionIdNotFound)
    #expect(code(request([], session: id, epoch: 1), version: 13) == .fetchSessionTopicIdError)
  }

  @Test func `the final epoch closes a session`() {
    let cache = FetchSessionCache(capacity: 10)
    let id = open(cache, [0])
    _ = cache.context(for: request([0], session: id, epoch: -1), version: 12, now: now)
    #expect(cache.count == 0)
  }

  @Test func `a full cache gives up idle sessions only, and goes on without one otherwise`() {
    let cache = FetchSessionCache(capacity: 2)
    #expect(open(cache, [0]) != 0)
    #expect(open(cache, [0]) != 0)
    #expect(open(cache, [0]) == 0)
    #expect(open(cache, [0], at: now.advanced(by: .seconds(121))) != 0)
    #expect(cache.count == 2)
  }

  @Test func `a partition that delivered goes to the end of the line`() {
    var session = FetchSession(
      id: 1, usesTopicIds: false, partitions: request([0, 1, 2]).fetchedPartitions)
    let key = session.partitions[0].key
    var result = FetchResult(key: key, data: .init(partitionIndex: 0, highWatermark: 5))
    result.plan = .init(
      byteCount: 10, firstOffset: 0, nextOffset: 5,
      offsets: .init(
        logStartOffset: 0, highWatermark: 5, lastStableOffset: 5, logEndOffset: 5))
    _ = session.select([result])
    #expect(session.partitions.map(\.key.partition) == [1, 2, 0])
  }
}
