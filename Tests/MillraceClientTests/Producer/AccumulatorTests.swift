// The accumulator through years of protocol: no socket, no clock, no sleep.

import MillraceProtocol
import MillraceRecords
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct AccumulatorTests {
  private var time = NIODeadline.uptimeNanoseconds(0) + .hours(1)

  private static func limits(
    batchBytes: Int = 1000, bufferBytes: Int = 100_000, maxRequestBytes: Int = 10_000, isIdempotent: Bool = true,
    sendsAwaitedAtOnce: Bool = false
  ) -> Accumulator.Limits {
    Accumulator.Limits(
      batchBytes: batchBytes, bufferBytes: bufferBytes, maxRequestBytes: maxRequestBytes, maxInFlight: 5,
      linger: .milliseconds(5), sendsAwaitedAtOnce: sendsAwaitedAtOnce, deliveryTimeout: .seconds(120),
      isIdempotent: isIdempotent, keepsTokens: true,
      backoff: Backoff(first: .milliseconds(100), limit: .seconds(1)))
  }

  /// An accumulator that knows topic `t`, its partitions led by brokers 1, 2, … in turn, and a producer id that the
  /// brokers know.
  private static func accumulator(
    _ limits: Accumulator.Limits = Self.limits(), partitions: Int32 = 1, brokers: Int32 = 1, isEstablished: Bool = true
  ) -> Accumulator {
    var accumulator = Accumulator(limits, seed: 1)
    accumulator.update(topic(partitions: partitions, brokers: brokers))
    if limits.isIdempotent { accumulator.adopt(producerId: 7, epoch: 0, now: .uptimeNanoseconds(0)) }
    for queue in accumulator.queues.indices { accumulator.queues[queue].isEstablished = isEstablished }
    return accumulator
  }

  private static func topic(partitions: Int32, brokers: Int32) -> TopicMetadata {
    TopicMetadata(
      MetadataResponse.MetadataResponseTopic(
        name: "t",
        partitions: (0..<partitions).map { .init(partitionIndex: $0, leaderId: $0 % brokers + 1, leaderEpoch: 0) }),
      name: "t")
  }

  @discardableResult
  private func append(
    _ accumulator: inout Accumulator, _ value: String = "v", partition: Int32? = 0, token: UInt64 = 0,
    caller: Deferred<BatchPosition>? = nil
  ) -> Accumulator.Appended {
    let time = time
    let choice = partition.map { Accumulator.Choice.partition($0) } ?? .automatic
    return Array(value.utf8).withUnsafeBytes { bytes in
      accumulator.append(
        topic: "t", choice, key: nil, value: bytes, timestamp: 0, token: token, caller: caller,
        now: { time })
    }
  }

  /// The request to a broker, as sealed batches.
  private func request(_ accumulator: inout Accumulator, to broker: Int32 = 1) throws -> [BatchOutcome] {
    guard let request = accumulator.nextRequest(for: broker, now: time) else { return [] }
    return try request.map { batch in
      var batch = batch
      let sealed = try batch.seal(.none, level: nil)
      return BatchOutcome(
        queue: batch.queue, id: batch.id, sealed: sealed, result: .failure(KafkaError(.timedOut, "not answered")))
    }
  }

  private func answer(
    _ accumulator: inout Accumulator, _ batches: [BatchOutcome], _ result: Result<BatchPosition, KafkaError>,
    from broker: Int32 = 1
  ) -> [Delivery] {
    accumulator.resolve(
      batches.map { batch in
        var batch = batch
        batch.result = result
        return batch
      }, from: broker, now: time)
  }

  private func error(_ code: ErrorCode) -> Result<BatchPosition, KafkaError> {
    .failure(KafkaError(brokerCode: code, about: "a test"))
  }

  private func written(at offset: Int64) -> Result<BatchPosition, KafkaError> {
    .success(BatchPosition(offset: offset))
  }

  // MARK: Batches

  @Test func `a record waits for others until its batch has lingered`() throws {
    var accumulator = Self.accumulator()
    #expect(append(&accumulator) == .appended(partition: 0, wakes: true))
    #expect(append(&accumulator) == .appended(partition: 0, wakes: false))
    #expect(try request(&accumulator).isEmpty)
    #expect(accumulator.nextWakeUp(after: time) == time + .milliseconds(5))

    var later = self
    later.time = time + .milliseconds(5)
    let sent = try later.request(&accumulator)
    #expect(sent.count == 1)
    #expect(try header(sent[0]).recordCount == 2)
  }

  @Test func `a record that somebody waits for goes at once, and what comes meanwhile goes together after it`() throws {
    var accumulator = Self.accumulator(Self.limits(sendsAwaitedAtOnce: true))
    append(&accumulator)
    #expect(try request(&accumulator).isEmpty)
    #expect(append(&accumulator, caller: Deferred()) == .appended(partition: 0, wakes: true))
    let first = try request(&accumulator)
    #expect(try first.map { try header($0).recordCount } == [2])

    append(&accumulator, caller: Deferred())
    #expect(append(&accumulator, caller: Deferred()) == .appended(partition: 0, wakes: false))
    #expect(try request(&accumulator).isEmpty)
    #expect(accumulator.nextWakeUp(after: time) == time + .milliseconds(5))
    _ = answer(&accumulator, first, written(at: 0))
    #expect(try request(&accumulator).map { try header($0).recordCount } == [2])
  }

  @Test func `a record that somebody waits for lingers when that was asked for`() throws {
    var accumulator = Self.accumulator()
    append(&accumulator, caller: Deferred())
    #expect(append(&accumulator, caller: Deferred()) == .appended(partition: 0, wakes: false))
    #expect(try request(&accumulator).isEmpty)
  }

  @Test func `a full batch goes at once`() throws {
    var accumulator = Self.accumulator()
    for _ in 0..<3 { append(&accumulator, String(repeating: "x", count: 400)) }
    #expect(try header(try #require(try request(&accumulator).first)).recordCount == 2)
    #expect(try request(&accumulator).isEmpty)
  }

  @Test func `records without a key leave a partition with a full batch, which goes at once`() throws {
    var accumulator = Self.accumulator(partitions: 2)
    let value = String(repeating: "x", count: 400)
    for _ in 0..<20 {
      guard case .appended(let first, _) = append(&accumulator, value, partition: nil) else {
        Issue.record("it was not taken")
        return
      }
      // A batch that somebody with keys left open takes them too.
      #expect(append(&accumulator, value, partition: nil) == .appended(partition: first, wakes: false))
      append(&accumulator, partition: 1 - first)
      #expect(append(&accumulator, value, partition: nil) == .appended(partition: 1 - first, wakes: true))
      let full = try request(&accumulator)
      #expect(try full.map { try header($0).recordCount } == [2])
      _ = answer(&accumulator, full, written(at: 0))
      _ = accumulator.flush()
      _ = answer(&accumulator, try request(&accumulator), written(at: 0))
      #expect(accumulator.liveBatches.isEmpty)
    }
  }

  @Test func `a record larger than a batch gets one of its own`() throws {
    var accumulator = Self.accumulator()
    append(&accumulator)
    append(&accumulator, String(repeating: "x", count: 5000))
    _ = accumulator.flush()
    #expect(try header(try #require(try request(&accumulator).first)).recordCount == 1)
    #expect(try header(try #require(try request(&accumulator).first)).recordCount == 1)
  }

  @Test func `a record larger than a request is refused`() {
    var accumulator = Self.accumulator()
    guard case .tooLarge = append(&accumulator, String(repeating: "x", count: 10_001)) else {
      Issue.record("it was taken")
      return
    }
  }

  @Test func `flushing sends what lingers`() throws {
    var accumulator = Self.accumulator()
    append(&accumulator)
    let batches = accumulator.flush()
    #expect(batches.count == 1)
    let sent = try request(&accumulator)
    #expect(answer(&accumulator, sent, written(at: 0)).count == 1)
    #expect(accumulator.liveBatches.isEmpty)
  }

  @Test func `the buffer takes no more than its size and has room again after a delivery`() throws {
    var accumulator = Self.accumulator(Self.limits(bufferBytes: 10_000))
    var taken = 0
    while case .appended = append(&accumulator, String(repeating: "x", count: 500)) { taken += 1 }
    #expect((15...20).contains(taken))
    #expect(append(&accumulator, String(repeating: "x", count: 500)) == .bufferFull)
    let sent = try request(&accumulator)
    _ = answer(&accumulator, sent, written(at: 0))
    #expect(append(&accumulator, String(repeating: "x", count: 500)) != .bufferFull)
  }

  @Test func `all memory is given back in the end`() throws {
    var accumulator = Self.accumulator()
    for index in 0..<50 { append(&accumulator, String(repeating: "x", count: index * 10)) }
    _ = accumulator.flush()
    while true {
      let sent = try request(&accumulator)
      if sent.isEmpty { break }
      _ = answer(&accumulator, sent, written(at: 0))
    }
    #expect(accumulator.bufferedBytes == 0)
    #expect(accumulator.active.isEmpty)
    #expect(accumulator.liveBatches.isEmpty)
  }

  @Test func `a request takes one batch of each partition that the broker leads`() throws {
    var accumulator = Self.accumulator(partitions: 4, brokers: 2)
    for partition in Int32(0)..<4 {
      append(&accumulator, partition: partition)
      append(&accumulator, partition: partition)
    }
    _ = accumulator.flush()
    #expect(accumulator.brokersWithWork(now: time) == [1, 2])
    #expect(try request(&accumulator, to: 1).count == 2)
    #expect(try request(&accumulator, to: 2).count == 2)
    #expect(try request(&accumulator, to: 3).isEmpty)
  }

  @Test func `no more than five requests to a broker are unanswered`() throws {
    var accumulator = Self.accumulator()
    for _ in 0..<20 { append(&accumulator, String(repeating: "x", count: 900)) }
    var sent: [[BatchOutcome]] = []
    while let next = try? request(&accumulator), !next.isEmpty { sent.append(next) }
    #expect(sent.count == 5)
    _ = answer(&accumulator, sent[0], written(at: 0))
    #expect(try request(&accumulator).count == 1)
  }

  @Test func `tokens come back in order`() throws {
    var accumulator = Self.accumulator()
    for token in 1...3 { append(&accumulator, token: UInt64(token)) }
    _ = accumulator.flush()
    let deliveries = answer(&accumulator, try request(&accumulator), written(at: 42))
    #expect(deliveries.first?.callers.tokens == [1, 2, 3])
    #expect(deliveries.first?.recordCount == 3)
  }

  // MARK: Sequences

  private func header(_ batch: BatchOutcome) throws -> BatchHeader {
    try #require(batch.sealed).bytes.withUnsafeReadableBytes { try BatchHeader(parsing: $0) }
  }

  private func isValid(_ batch: BatchOutcome) throws -> Bool {
    try #require(batch.sealed).bytes.withUnsafeReadableBytes { bytes in
      try BatchHeader(parsing: bytes).isValid(checksumOver: bytes)
    }
  }

  /// Sends so many batches of one record, none of them answered.
  private func send(_ count: Int, _ accumulator: inout Accumulator) throws -> [[BatchOutcome]] {
    var sent: [[BatchOutcome]] = []
    for _ in 0..<count {
      append(&accumulator)
      _ = accumulator.flush()
      sent.append(try request(&accumulator))
    }
    return sent
  }

  @Test func `nothing is sent before there is a producer id`() throws {
    var accumulator = Accumulator(Self.limits(), seed: 1)
    accumulator.update(Self.topic(partitions: 1, brokers: 1))
    #expect(!accumulator.needsIdentity)
    append(&accumulator)
    _ = accumulator.flush()
    #expect(try request(&accumulator).isEmpty)
    #expect(accumulator.needsIdentity)
    accumulator.adopt(producerId: 9, epoch: 3, now: time)
    let sent = try request(&accumulator)
    #expect(try header(sent[0]).producerId == 9)
    #expect(try header(sent[0]).producerEpoch == 3)
    #expect(try header(sent[0]).baseSequence == 0)
  }

  @Test func `sequences count records in the order of sending`() throws {
    var accumulator = Self.accumulator()
    append(&accumulator)
    append(&accumulator)
    _ = accumulator.flush()
    #expect(try header(try request(&accumulator)[0]).baseSequence == 0)
    append(&accumulator)
    _ = accumulator.flush()
    #expect(try header(try request(&accumulator)[0]).baseSequence == 2)
  }

  @Test func `without idempotence there are neither ids nor sequences`() throws {
    var accumulator = Self.accumulator(Self.limits(isIdempotent: false))
    append(&accumulator)
    _ = accumulator.flush()
    let sent = try request(&accumulator)
    #expect(try header(sent[0]).producerId == -1)
    #expect(try header(sent[0]).baseSequence == -1)
  }

  @Test func `a failure that may pass is retried with the same bytes after a pause`() throws {
    var accumulator = Self.accumulator()
    let sent = try send(1, &accumulator)
    #expect(answer(&accumulator, sent[0], error(.notEnoughReplicas)).isEmpty)
    #expect(try request(&accumulator).isEmpty)
    var later = self
    later.time = time + .seconds(2)
    let again = try later.request(&accumulator)
    #expect(again.first?.sealed == sent[0].first?.sealed)
    #expect(answer(&accumulator, again, written(at: 5)).count == 1)
  }

  @Test func `what was behind a failure is sent again in order, one after the other`() throws {
    var accumulator = Self.accumulator()
    let sent = try send(3, &accumulator)
    var later = self
    later.time = time + .seconds(10)
    #expect(answer(&accumulator, sent[0], error(.requestTimedOut)).isEmpty)
    // The broker refuses the others since the first is missing.
    #expect(answer(&accumulator, sent[1], error(.outOfOrderSequenceNumber)).isEmpty)
    #expect(answer(&accumulator, sent[2], error(.outOfOrderSequenceNumber)).isEmpty)
    append(&accumulator)
    _ = accumulator.flush()
    for sequence in Int32(0)..<3 {
      let again = try later.request(&accumulator)
      #expect(try again.map { try header($0).baseSequence } == [sequence])
      #expect(try later.request(&accumulator).isEmpty)
      #expect(later.answer(&accumulator, again, written(at: Int64(sequence))).count == 1)
      later.time = later.time + .seconds(2)
    }
    let new = try later.request(&accumulator)
    #expect(try new.map { try header($0).baseSequence } == [3])
  }

  @Test func `a broker that does not know the producer yet gets one batch at a time`() throws {
    var accumulator = Self.accumulator(isEstablished: false)
    let sent = try send(3, &accumulator)
    #expect(sent.map(\.count) == [1, 0, 0])
    // It would take the next one, whatever its sequence, and the first would have lost its place.
    #expect(answer(&accumulator, sent[0], error(.notEnoughReplicas)).isEmpty)
    #expect(try request(&accumulator).isEmpty)
    var later = self
    later.time = time + .seconds(2)
    let again = try later.request(&accumulator)
    #expect(try again.map { try header($0).baseSequence } == [0])
    #expect(try later.request(&accumulator).isEmpty)
    #expect(later.answer(&accumulator, again, written(at: 0)).count == 1)
    #expect(try header(later.request(&accumulator)[0]).baseSequence == 1)
    #expect(try header(later.request(&accumulator)[0]).baseSequence == 2)
  }

  @Test func `a batch that was taken out of turn by a broker that forgot the producer keeps its sequence`() throws {
    var accumulator = Self.accumulator()
    let sent = try send(3, &accumulator)
    #expect(answer(&accumulator, sent[0], error(.messageTooLarge)).count == 1)
    append(&accumulator)
    _ = accumulator.flush()
    // What would be sent now could have a sequence that the broker has already, and pass for a duplicate.
    #expect(try request(&accumulator).isEmpty)
    #expect(answer(&accumulator, sent[1], written(at: 0)).count == 1)
    #expect(answer(&accumulator, sent[2], written(at: 1)).count == 1)
    #expect(try header(request(&accumulator)[0]).baseSequence == 3)
  }

  @Test func `new records wait while an old batch is to be retried`() throws {
    var accumulator = Self.accumulator()
    let sent = try send(1, &accumulator)
    _ = answer(&accumulator, sent[0], error(.notEnoughReplicas))
    append(&accumulator)
    _ = accumulator.flush()
    #expect(try request(&accumulator).isEmpty)
  }

  @Test func `a duplicate counts as written at an unknown offset`() throws {
    var accumulator = Self.accumulator()
    let sent = try send(1, &accumulator)
    let deliveries = answer(&accumulator, sent[0], error(.duplicateSequenceNumber))
    #expect(try deliveries.first?.result.get() == BatchPosition(offset: -1))
  }

  @Test func `after a batch that is refused for good the ones behind it take its sequences`() throws {
    var accumulator = Self.accumulator()
    let sent = try send(3, &accumulator)
    let failed = answer(&accumulator, sent[0], error(.messageTooLarge))
    #expect(failed.count == 1)
    #expect(answer(&accumulator, sent[1], error(.outOfOrderSequenceNumber)).isEmpty)
    #expect(answer(&accumulator, sent[2], error(.outOfOrderSequenceNumber)).isEmpty)
    var later = self
    for sequence in Int32(0)..<2 {
      later.time = later.time + .seconds(5)
      let again = try later.request(&accumulator)
      #expect(try header(again[0]).baseSequence == sequence)
      #expect(try isValid(again[0]))
      #expect(later.answer(&accumulator, again, written(at: Int64(sequence))).count == 1)
    }
    append(&accumulator)
    _ = accumulator.flush()
    #expect(try header(later.request(&accumulator)[0]).baseSequence == 2)
  }

  @Test func `a batch that may have been written before it was refused leaves its sequence to nobody`() throws {
    var accumulator = Self.accumulator()
    let sent = try send(1, &accumulator)
    #expect(answer(&accumulator, sent[0], .failure(KafkaError(.connectionFailed, "gone"))).isEmpty)
    accumulator.update(Self.topic(partitions: 1, brokers: 1))
    var later = self
    later.time = time + .seconds(2)
    let again = try later.request(&accumulator)
    #expect(later.answer(&accumulator, again, error(.messageTooLarge)).count == 1)
    later.append(&accumulator)
    _ = accumulator.flush()
    #expect(try later.request(&accumulator).isEmpty)
    #expect(accumulator.needsIdentity)
    accumulator.adopt(producerId: 8, epoch: 0, now: later.time)
    let next = try header(try #require(try later.request(&accumulator).first))
    #expect((next.producerId, next.baseSequence) == (8, 0))
  }

  @Test func `a batch that times out unanswered makes a new epoch, once nothing is unanswered`() throws {
    var accumulator = Self.accumulator(partitions: 2)
    let sent = try send(1, &accumulator)
    append(&accumulator, partition: 1)
    _ = accumulator.flush()
    let other = try request(&accumulator)
    _ = answer(&accumulator, sent[0], .failure(KafkaError(.connectionFailed, "lost")))
    #expect(accumulator.topicsWithoutLeader == ["t"])

    var later = self
    later.time = time + .seconds(200)
    #expect(accumulator.expire(now: later.time).count == 1)
    accumulator.update(Self.topic(partitions: 2, brokers: 1))
    append(&accumulator)
    _ = accumulator.flush()
    #expect(try later.request(&accumulator).isEmpty)
    #expect(!accumulator.needsIdentity)
    _ = later.answer(&accumulator, other, written(at: 0))
    #expect(accumulator.needsIdentity)
    accumulator.adopt(producerId: 8, epoch: 0, now: later.time)
    let fresh = try later.request(&accumulator)
    #expect(try header(fresh[0]).producerId == 8)
    #expect(try header(fresh[0]).baseSequence == 0)
  }

  @Test func `batches behind one that is missing at the broker go on under a new producer id`() throws {
    var accumulator = Self.accumulator()
    let sent = try send(3, &accumulator)
    // The broker lost everything: the first is reported, the others are sent again from sequence 0.
    let deliveries = answer(&accumulator, sent[0], error(.outOfOrderSequenceNumber))
    #expect(deliveries.count == 1)
    #expect(answer(&accumulator, sent[1], error(.outOfOrderSequenceNumber)).isEmpty)
    #expect(!accumulator.needsIdentity)
    #expect(answer(&accumulator, sent[2], error(.outOfOrderSequenceNumber)).isEmpty)
    #expect(accumulator.needsIdentity)
    accumulator.adopt(producerId: 8, epoch: 0, now: time)
    let again = try request(&accumulator)
    #expect(try header(again[0]).baseSequence == 0)
    #expect(try header(again[0]).producerId == 8)
    #expect(try isValid(again[0]))
  }

  // MARK: Leaders and time

  @Test func `a batch follows its partition to another broker`() throws {
    var accumulator = Self.accumulator()
    let sent = try send(1, &accumulator)
    _ = answer(&accumulator, sent[0], error(.notLeaderOrFollower))
    #expect(accumulator.topicsWithoutLeader == ["t"])
    var moved = Self.topic(partitions: 1, brokers: 1)
    moved.partitions[0].leader = 2
    accumulator.update(moved)
    var later = self
    later.time = time + .seconds(5)
    #expect(try later.request(&accumulator, to: 1).isEmpty)
    #expect(try later.request(&accumulator, to: 2).count == 1)
  }

  @Test func `what was never sent fails after the delivery time-out without harm to the sequences`() throws {
    var accumulator = Self.accumulator()
    append(&accumulator)
    let deliveries = accumulator.expire(now: time + .seconds(121))
    #expect(deliveries.count == 1)
    guard case .failure(let error)? = deliveries.first?.result else {
      Issue.record("it was delivered")
      return
    }
    #expect(error.code == .timedOut)
    #expect(!accumulator.needsIdentity)
    append(&accumulator)
    _ = accumulator.flush()
    #expect(try header(request(&accumulator)[0]).baseSequence == 0)
  }

  @Test func `random failures lose nothing, duplicate nothing and keep the order`() throws {
    for round in 0..<50 {
      let seed = UInt64.random(in: 0 ... .max)
      var simulation = Simulation(seed: seed, round: round)
      try simulation.run()
    }
  }
}

/// A broker that keeps Kafka's rules about sequences, and refuses some records for good, behind a network that fails at
/// random.
private struct Simulation {
  /// What a broker knows a sequence by.
  struct Producer: Hashable {
    var id: Int64
    var queue: Int
  }

  var generator: SplitMix64
  let seed: UInt64

  init(seed: UInt64, round: Int) {
    self.seed = seed
    generator = SplitMix64(seed: seed)
  }

  mutating func run() throws {
    var accumulator = Accumulator(
      Accumulator.Limits(
        batchBytes: 300, bufferBytes: 1 << 20, maxRequestBytes: 10_000, maxInFlight: 5, linger: .milliseconds(5),
        deliveryTimeout: .hours(100), isIdempotent: true, keepsTokens: true,
        backoff: Backoff(first: .milliseconds(10), limit: .milliseconds(50))), seed: seed)
    let topic = TopicMetadata(
      MetadataResponse.MetadataResponseTopic(
        name: "t", partitions: [.init(partitionIndex: 0, leaderId: 1), .init(partitionIndex: 1, leaderId: 1)]),
      name: "t")
    accumulator.update(topic)
    var producerId: Int64 = 1
    accumulator.adopt(producerId: producerId, epoch: 0, now: .uptimeNanoseconds(0))
    var now = NIODeadline.uptimeNanoseconds(0) + .hours(1)
    var log: [Int: [UInt64]] = [0: [], 1: []]
    var expected: [Producer: Int32] = [:]
    var appended: [Int: [UInt64]] = [0: [], 1: []]
    var delivered: Set<UInt64> = []
    var refused: Set<UInt64> = []
    var token: UInt64 = 0
    var unanswered: [[BatchOutcome]] = []

    for step in 0..<2000 {
      now = now + .milliseconds(Int64.random(in: 1...20, using: &generator))
      if step < 1000 {
        for _ in 0..<Int.random(in: 0...5, using: &generator) {
          token += 1
          let partition = Int.random(in: 0...1, using: &generator)
          appended[partition]?.append(token)
          let value = withUnsafeBytes(of: token.bigEndian) { Array($0) }
          let time = now
          _ = value.withUnsafeBytes {
            accumulator.append(
              topic: "t", .partition(Int32(partition)), key: nil, value: $0, timestamp: 0, token: token, now: { time })
          }
        }
      }
      while let request = accumulator.nextRequest(for: 1, now: now) {
        unanswered.append(
          try request.map { batch in
            var batch = batch
            return BatchOutcome(
              queue: batch.queue, id: batch.id, sealed: try batch.seal(.none, level: nil),
              result: .success(BatchPosition(offset: -1)))
          })
      }
      guard !unanswered.isEmpty, Int.random(in: 0...2, using: &generator) > 0 else { continue }
      // A lost connection fails all requests on it, some of which the broker has handled.
      let isLost = Int.random(in: 0..<10, using: &generator) == 0
      let handled = isLost ? Int.random(in: 0...unanswered.count, using: &generator) : 1
      var answers: [[BatchOutcome]] = []
      for (index, request) in unanswered.enumerated() where isLost || index == 0 {
        answers.append(
          try request.map { batch in
            var batch = batch
            let result =
              index < handled ? try broker(batch, &log, &expected) : .failure(KafkaError(.connectionFailed, "lost"))
            batch.result = isLost ? .failure(KafkaError(.connectionFailed, "lost")) : result
            return batch
          })
      }
      unanswered.removeFirst(answers.count)
      for answer in answers {
        for delivery in accumulator.resolve(answer, from: 1, now: now) {
          if case .failure(let error) = delivery.result {
            guard error.brokerCode == .messageTooLarge else {
              Issue.record("seed \(seed): \(error)")
              return
            }
            refused.formUnion(delivery.callers.tokens)
          }
          for token in delivery.callers.tokens {
            #expect(delivered.insert(token).inserted, "seed \(seed): reported twice")
          }
        }
      }
      accumulator.update(topic)
      if accumulator.needsIdentity {
        producerId += 1
        accumulator.adopt(producerId: producerId, epoch: 0, now: now)
      }
    }
    #expect(unanswered.isEmpty || accumulator.active.isEmpty == false, "seed \(seed)")
    for partition in 0...1 {
      let written = log[partition] ?? []
      let sent = (appended[partition] ?? []).filter { !refused.contains($0) }
      #expect(written == Array(sent.prefix(written.count)), "seed \(seed): order or duplicates")
    }
    #expect(delivered.count == Int(token), "seed \(seed): not all delivered")
    #expect(
      log.values.reduce(0) { $0 + $1.count } == Int(token) - refused.count, "seed \(seed): not all written")
    #expect(!refused.isEmpty, "seed \(seed)")
  }

  /// Appends a batch whose sequence is the next one, recognises an earlier one, refuses one that leaves a gap.
  private mutating func broker(
    _ batch: BatchOutcome, _ log: inout [Int: [UInt64]], _ expected: inout [Producer: Int32]
  ) throws -> Result<BatchPosition, KafkaError> {
    let bytes = try #require(batch.sealed).bytes
    return try bytes.withUnsafeReadableBytes { bytes in
      let view = try BatchView(bytes)
      let producer = Producer(id: view.header.producerId, queue: batch.queue)
      let next = expected[producer] ?? view.header.baseSequence
      if view.header.baseSequence < next {
        return .failure(KafkaError(brokerCode: .duplicateSequenceNumber, about: "a test"))
      }
      if view.header.baseSequence > next {
        return .failure(KafkaError(brokerCode: .outOfOrderSequenceNumber, about: "a test"))
      }
      // Refused before anything is written.
      if Int.random(in: 0..<10, using: &generator) == 0 {
        return .failure(KafkaError(brokerCode: .notEnoughReplicas, about: "a test"))
      }
      var values: [UInt64] = []
      try view.forEachRecord { record in
        values.append(record.value.map { UInt64(bigEndian: $0.loadUnaligned(as: UInt64.self)) } ?? 0)
      }
      if values.contains(where: { $0 % 97 == 1 }) {
        return .failure(KafkaError(brokerCode: .messageTooLarge, about: "a test"))
      }
      log[batch.queue]? += values
      expected[producer] = next + view.header.recordCount
      return .success(BatchPosition(offset: Int64(log[batch.queue]?.count ?? 0) - Int64(view.header.recordCount)))
    }
  }
}
