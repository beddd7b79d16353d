import MillraceProtocol
import MillraceRecords
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct AssignmentTests {
  private let a = TopicPartition("t", 0)
  private let b = TopicPartition("t", 1)
  private let time = NIODeadline.now()

  private func assignment(
    prefetch: Int = 1 << 20, partitionMax: Int = 1000, stopAtEnd: Bool = false, reset: OffsetReset = .latest
  ) -> Assignment {
    Assignment(
      Assignment.Limits(
        prefetchBytes: prefetch, fetchMaxBytes: 1 << 20, maxPartitionFetchBytes: partitionMax, stopAtEnd: stopAtEnd,
        isolation: .readUncommitted, reset: reset, replicaLease: .minutes(5)))
  }

  private func topic(leaders: [Int32?] = [1, 1]) -> TopicMetadata {
    TopicMetadata(
      MetadataResponse.MetadataResponseTopic(
        name: "t",
        partitions: leaders.enumerated().map {
          .init(partitionIndex: Int32($0.offset), leaderId: $0.element ?? -1, leaderEpoch: 3)
        }), name: "t")
  }

  /// The fetches that are to be sent.
  private func plans(_ assignment: inout Assignment, after wait: TimeAmount = .zero) -> [Assignment.FetchPlan] {
    assignment.work(now: time + wait).compactMap { if case .fetch(let plan) = $0 { plan } else { nil } }
  }

  private func records(at offset: Int64, _ count: Int) throws -> ByteBuffer {
    var builder = BatchBuilder()
    for _ in 0..<count { builder.append(key: nil, value: [1, 2, 3], timestamp: 0) }
    return ByteBuffer(bytes: try builder.build(BatchFields(baseOffset: offset)))
  }

  private func answer(
    _ partition: TopicPartition, at offset: Int64 = 0, _ count: Int = 0, highWatermark: Int64 = 100,
    error: ErrorCode = .none, preferring replica: Int32? = nil
  ) throws -> Assignment.FetchedPartition {
    Assignment.FetchedPartition(
      partition: partition, error: error, highWatermark: highWatermark, lastStableOffset: -1,
      records: count > 0 ? try records(at: offset, count) : ByteBuffer(),
      endOffset: count > 0 ? offset + Int64(count) : nil, aborted: AbortedTransactions(),
      preferredReplica: replica)
  }

  /// Takes the next batch as the application does.
  private func take(_ assignment: inout Assignment) throws -> RecordBatch? {
    while var chunk = assignment.takeChunk() {
      let batch = try chunk.next(.readUncommitted, checksCRCs: true)
      let isCurrent = assignment.putBack(chunk, isExhausted: batch == nil)
      if let batch, isCurrent { return batch }
    }
    return nil
  }

  private func reading(_ partitions: [TopicPartition]) -> Assignment {
    var assignment = assignment()
    assignment.assign(Dictionary(uniqueKeysWithValues: partitions.map { ($0, .offset(0)) }))
    assignment.located([topic()])
    return assignment
  }

  @Test func `a partition is located and resolved before it is fetched`() {
    var assignment = assignment()
    assignment.assign([a: .earliest])
    var work = assignment.work(now: time)
    guard work.count == 2, case .locate(["t"], _) = work[0], case .resolve([a: .earliest], let tokens) = work[1] else {
      Issue.record("\(work)")
      return
    }
    #expect(assignment.work(now: time).isEmpty)
    assignment.located([topic()])
    #expect(assignment.work(now: time).isEmpty)
    assignment.resolved([a: 42], tokens: tokens)
    work = assignment.work(now: time)
    guard work.count == 1, case .fetch(let plan) = work[0] else {
      Issue.record("\(work)")
      return
    }
    #expect(plan.broker == 1)
    #expect(plan.wanted[0].entry.offset == 42)
    #expect(plan.wanted[0].entry.leaderEpoch == 3)
  }

  @Test func `a broker is asked once at a time, for all that it leads`() throws {
    var assignment = reading([a, b])
    let plan = try #require(plans(&assignment).first)
    #expect(Set(plan.wanted.map(\.partition)) == [a, b])
    #expect(plans(&assignment).isEmpty)
    _ = assignment.fetched(plan, sessionId: 0, [])
    #expect(plans(&assignment).count == 1)
  }

  @Test func `the next fetch begins behind what was fetched`() throws {
    var assignment = reading([a])
    let plan = plans(&assignment)[0]
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: 0, 5)])
    #expect(plans(&assignment)[0].wanted[0].entry.offset == 5)
  }

  @Test func `positions follow what was handed out and what is completed`() throws {
    var assignment = reading([a])
    let plan = plans(&assignment)[0]
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: 0, 5)])
    #expect(assignment.positions(includingHandedOut: true)[a]?.offset == 0)
    #expect(try take(&assignment)?.recordCount == 5)
    #expect(assignment.positions(includingHandedOut: true)[a]?.offset == 5)
    #expect(assignment.positions(includingHandedOut: false)[a]?.offset == 0)
    assignment.complete()
    #expect(assignment.positions(includingHandedOut: false)[a]?.offset == 5)
  }

  @Test func `record by record the position follows the records`() throws {
    var assignment = reading([a])
    let plan = plans(&assignment)[0]
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: 0, 5)])
    let batch = try #require(try take(&assignment))
    let cursor = Assignment.RecordCursor(batch.position, end: batch.lastOffset + 1)
    assignment.follow(cursor, in: a)
    #expect(assignment.positions(includingHandedOut: true)[a]?.offset == 0)
    #expect(cursor.advance(to: 3))
    #expect(assignment.positions(includingHandedOut: true)[a]?.offset == 3)
    cursor.finish()
    assignment.complete()
    #expect(assignment.positions(includingHandedOut: false)[a]?.offset == 5)
    #expect(plans(&assignment)[0].wanted[0].entry.offset == 5)
  }

  @Test func `of a batch that was read in part the rest comes again`() throws {
    var assignment = reading([a])
    let plan = plans(&assignment)[0]
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: 0, 5)])
    let batch = try #require(try take(&assignment))
    let cursor = Assignment.RecordCursor(batch.position, end: batch.lastOffset + 1)
    assignment.follow(cursor, in: a)
    #expect(cursor.advance(to: 3))
    assignment.complete()
    let isStale = cursor.isStale
    #expect(isStale)
    #expect(assignment.positions(includingHandedOut: true)[a]?.offset == 3)
    #expect(assignment.positions(includingHandedOut: false)[a]?.offset == 3)
    #expect(plans(&assignment)[0].wanted[0].entry.offset == 3)
  }

  @Test func `what is taken away while the application has something of it is remembered until that is done`() throws {
    var assignment = reading([a, b])
    let plan = plans(&assignment)[0]
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: 0, 5)])
    #expect(try take(&assignment)?.topicPartition == a)
    assignment.assign([:])
    #expect(assignment.lostInHand == [a])
    // That it comes back does not make what was read before its own.
    assignment.assign([a: .committed])
    #expect(assignment.lostInHand == [a])
    assignment.complete()
    #expect(assignment.lostInHand.isEmpty)
  }

  @Test func `a session's silence about a partition after a seek to its end is its end`() throws {
    var assignment = assignment(stopAtEnd: true)
    assignment.assign([a: .offset(0)])
    assignment.located([topic()])
    let first = plans(&assignment)[0]
    let isFound = assignment.seek(a, to: .offset(5))
    #expect(isFound)
    // It is an answer about another place, but says where the end is, which the broker does not repeat.
    _ = assignment.fetched(first, sessionId: 1, [try answer(a, at: 0, 5, highWatermark: 5)])
    let second = plans(&assignment)[0]
    #expect(!assignment.isAtEnd)
    _ = assignment.fetched(second, sessionId: 1, [])
    #expect(assignment.isAtEnd)
    #expect(assignment.partitions[a]?.highWatermark == 5)
  }

  @Test func `an answer from before a seek is dropped`() throws {
    var assignment = reading([a])
    let plan = plans(&assignment)[0]
    let step135 = assignment.seek(a, to: .offset(50))
    #expect(step135)
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: 0, 5)])
    #expect(try take(&assignment) == nil)
    #expect(plans(&assignment)[0].wanted[0].entry.offset == 50)
  }

  @Test func `what was fetched before a seek is not handed out`() throws {
    var assignment = reading([a, b])
    let plan = plans(&assignment)[0]
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: 0, 5), try answer(b, at: 0, 7)])
    _ = assignment.seek(a, to: .offset(50))
    #expect(try take(&assignment)?.topicPartition == b)
    #expect(try take(&assignment) == nil)
  }

  @Test func `what is taken away while its batch is decoded is not handed out`() throws {
    var assignment = reading([a])
    let plan = plans(&assignment)[0]
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: 0, 5)])
    let taken = assignment.takeChunk()
    var chunk = try #require(taken)
    _ = try chunk.next(.readUncommitted, checksCRCs: true)
    assignment.assign([:])
    let step157 = assignment.putBack(chunk, isExhausted: false)
    #expect(!step157)
  }

  @Test func `a paused partition is neither fetched nor handed out, and goes on afterwards`() throws {
    var assignment = reading([a])
    let plan = plans(&assignment)[0]
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: 0, 5)])
    let step164 = assignment.setPaused(a, true)
    #expect(step164)
    #expect(try take(&assignment) == nil)
    #expect(plans(&assignment).isEmpty)
    let step167 = assignment.setPaused(a, false)
    #expect(step167)
    #expect(try take(&assignment)?.recordCount == 5)
  }

  @Test func `no more is fetched ahead than the prefetch limit`() throws {
    var assignment = assignment(prefetch: 1000, partitionMax: 1000)
    assignment.assign([a: .offset(0)])
    assignment.located([topic()])
    let batchBytes = try records(at: 0, 40).readableBytes
    // One leaves room for half the limit, which is enough to fetch again; two do not.
    #expect((334...500).contains(batchBytes))
    var offset: Int64 = 0
    var fetches = 0
    while let plan = plans(&assignment).first {
      #expect(plan.maxBytes <= 1000 - fetches * batchBytes)
      fetches += 1
      _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: offset, 40)])
      offset += 40
      guard fetches < 10 else { break }
    }
    #expect(fetches == 2)
    while try take(&assignment) != nil {}
    #expect(plans(&assignment).count == 1)
  }

  @Test func `brokers that have nothing do not keep others from being asked`() throws {
    var assignment = assignment(prefetch: 1 << 20, partitionMax: 1000)
    assignment.assign(
      Dictionary(uniqueKeysWithValues: (0..<4).map { (TopicPartition("t", $0), StartPosition.offset(0)) }))
    assignment.located([topic(leaders: [1, 2, 3, 4])])
    #expect(plans(&assignment).map(\.broker).sorted() == [1, 2, 3, 4])
  }

  @Test func `with room for one broker at a time each has its turn`() throws {
    var assignment = assignment(prefetch: 1000, partitionMax: 1000)
    assignment.assign([a: .offset(0), b: .offset(0)])
    assignment.located([topic(leaders: [1, 2])])
    var asked: Set<Int32> = []
    for _ in 0..<4 {
      let plans = plans(&assignment)
      #expect(plans.count == 1)
      for plan in plans {
        asked.insert(plan.broker)
        _ = assignment.fetched(plan, sessionId: 0, [])
      }
    }
    #expect(asked == [1, 2])
  }

  @Test func `an offset that is gone is replaced as the reset policy says`() throws {
    for (reset, start) in [(OffsetReset.earliest, StartPosition.earliest), (.latest, .latest)] {
      var assignment = assignment(reset: reset)
      assignment.assign([a: .offset(7)])
      assignment.located([topic()])
      let plan = plans(&assignment)[0]
      #expect(assignment.fetched(plan, sessionId: 0, [try answer(a, error: .offsetOutOfRange)]).isEmpty)
      guard case .resolve(let starts, _)? = assignment.work(now: time).first else {
        Issue.record("nothing to resolve")
        continue
      }
      #expect(starts == [a: start])
    }
  }

  @Test func `without a reset policy an offset that is gone is an error, once`() throws {
    var assignment = assignment(reset: .none)
    assignment.assign([a: .offset(7)])
    assignment.located([topic()])
    let plan = plans(&assignment)[0]
    let errors = assignment.fetched(plan, sessionId: 0, [try answer(a, error: .offsetOutOfRange)])
    #expect(errors.map(\.code) == [.noOffset])
    #expect(plans(&assignment).isEmpty)
  }

  @Test func `a partition whose leader has moved is located again`() throws {
    var assignment = reading([a])
    let plan = plans(&assignment)[0]
    _ = assignment.fetched(plan, sessionId: 0, [try answer(a, error: .notLeaderOrFollower)])
    guard case .locate(["t"], _)? = assignment.work(now: time).first else {
      Issue.record("not located")
      return
    }
    assignment.located([topic(leaders: [2, 2])])
    #expect(plans(&assignment)[0].broker == 2)
  }

  @Test func `a fetch that fails looks for the leaders again`() throws {
    var assignment = reading([a])
    let plan = plans(&assignment)[0]
    assignment.fetchFailed(plan, KafkaError(.connectionFailed, "lost"))
    guard case .locate? = assignment.work(now: time).first else {
      Issue.record("not located")
      return
    }
  }

  @Test func `a partition that is refused again and again is not located at once`() throws {
    var assignment = reading([a])
    for round in 0..<3 {
      let plan = plans(&assignment)[0]
      let code = round == 1 ? ErrorCode.unknownServerError : .notLeaderOrFollower
      #expect(assignment.fetched(plan, sessionId: 0, [try answer(a, error: code)]).isEmpty)
      guard case .locate(["t"], let again)? = assignment.work(now: time).first else {
        Issue.record("not located")
        return
      }
      #expect(again == (round > 0))
      assignment.located([topic()])
    }
    _ = assignment.fetched(plans(&assignment)[0], sessionId: 0, [try answer(a)])
    #expect(assignment.partitions[a]?.refusals == 0)
  }

  // MARK: Reading from a follower (KIP-392)

  /// Reads partition `a` of leader 1, which has named broker 2.
  private func following() throws -> Assignment {
    var assignment = reading([a])
    _ = assignment.fetched(plans(&assignment)[0], sessionId: 0, [try answer(a, preferring: 2)])
    return assignment
  }

  @Test func `the replica that a leader names is read, until it is time to ask the leader again`() throws {
    var assignment = try following()
    for offset in Int64(0)..<3 {
      let plan = plans(&assignment, after: .minutes(4))[0]
      #expect(plan.broker == 2)
      _ = assignment.fetched(plan, sessionId: 0, [try answer(a, at: offset, 1)])
    }
    #expect(plans(&assignment, after: .minutes(5)).map(\.broker) == [1])
  }

  @Test func `an offset that a follower does not have is asked of the leader`() throws {
    var assignment = try following()
    let plan = plans(&assignment)[0]
    #expect(assignment.fetched(plan, sessionId: 0, [try answer(a, error: .offsetOutOfRange)]).isEmpty)
    let next = plans(&assignment)[0]
    #expect(next.broker == 1)
    #expect(next.wanted[0].entry.offset == 0)
  }

  @Test func `a follower that does not answer is not asked again`() throws {
    var assignment = try following()
    assignment.fetchFailed(plans(&assignment)[0], KafkaError(.connectionFailed, "lost"))
    guard case .locate? = assignment.work(now: time).first else {
      Issue.record("not located")
      return
    }
    assignment.located([topic()])
    #expect(plans(&assignment).map(\.broker) == [1])
  }

  @Test func `the end is where every partition was at its high watermark and all was handed out`() throws {
    var assignment = assignment(stopAtEnd: true)
    assignment.assign([a: .offset(0), b: .offset(0)])
    assignment.located([topic()])
    var plan = plans(&assignment)[0]
    _ = assignment.fetched(
      plan, sessionId: 0, [try answer(a, at: 0, 5, highWatermark: 5), try answer(b, highWatermark: 3)])
    #expect(!assignment.isAtEnd)
    plan = plans(&assignment)[0]
    #expect(plan.wanted.map(\.partition) == [b])
    _ = assignment.fetched(plan, sessionId: 0, [try answer(b, at: 0, 3, highWatermark: 3)])
    #expect(!assignment.isAtEnd)
    while try take(&assignment) != nil {}
    #expect(assignment.isAtEnd)
    #expect(plans(&assignment).isEmpty)
  }
}
