// What a member of a share group asks of brokers, as a transcript of its requests and their answers.

import MillraceProtocol
import MillraceRecords
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct ShareAssignmentTests {
  private let start = NIODeadline.uptimeNanoseconds(0) + .hours(1)
  private let topic = Uuid(high: 1, low: 1)
  private var zero: ShareSession.Partition { ShareSession.Partition(topicId: topic, index: 0) }
  private var one: ShareSession.Partition { ShareSession.Partition(topicId: topic, index: 1) }

  private func metadata(leaders: [Int32]) -> TopicMetadata {
    TopicMetadata(
      MetadataResponse.MetadataResponseTopic(
        name: "t", topicId: topic,
        partitions: leaders.enumerated().map { .init(partitionIndex: Int32($0), leaderId: $1, leaderEpoch: 0) }),
      name: "t")
  }

  /// One that reads partitions 0 and 1 of `t`.
  private func assignment(
    mode: AcknowledgementMode = .explicit, acquire: AcquireMode = .batchOptimized, maxRecords: Int = 500,
    renews: Bool = false, leaders: [Int32] = [1, 1]
  ) -> ShareAssignment {
    var assignment = ShareAssignment(
      ShareAssignment.Settings(
        acknowledgementMode: mode, acquireMode: acquire, maxRecords: maxRecords, renewsLocks: renews))
    assignment.assign([TopicPartition("t", 0), TopicPartition("t", 1)])
    _ = assignment.work(wantsRecords: false, flushes: false, now: start)
    assignment.located([metadata(leaders: leaders)])
    return assignment
  }

  private func fetch(
    _ epoch: Int32, added: Set<ShareSession.Partition> = [], forgotten: Set<ShareSession.Partition> = [],
    _ acknowledgements: ShareAssignment.Acknowledgements = [:], at broker: Int32 = 1
  ) -> ShareAssignment.Request {
    ShareAssignment.Request(
      broker: broker, kind: .fetch(ShareSession.Change(epoch: epoch, added: added, forgotten: forgotten)),
      acknowledgements: acknowledgements)
  }

  private func acknowledge(
    _ epoch: Int32, _ acknowledgements: ShareAssignment.Acknowledgements, at broker: Int32 = 1
  ) -> ShareAssignment.Request {
    ShareAssignment.Request(broker: broker, kind: .acknowledge(epoch: epoch), acknowledgements: acknowledgements)
  }

  private func batches(_ types: [Int64: Acknowledgement]) -> AcknowledgementBatches {
    var batches = AcknowledgementBatches()
    for (offset, type) in types { batches.add(type, at: offset) }
    return batches
  }

  private func answer(
    _ partition: ShareSession.Partition, _ offsets: ClosedRange<Int64>? = nil, deliveryCount: Int = 1,
    error: ErrorCode = .none, acknowledgeError: ErrorCode = .none
  ) throws -> ShareAssignment.FetchedPartition {
    var records = ByteBuffer()
    if let offsets {
      var builder = BatchBuilder()
      for offset in offsets { builder.append(key: nil, value: Array("\(offset)".utf8), timestamp: 1) }
      records.writeBytes(
        try builder.build(
          BatchFields(baseOffset: offsets.lowerBound, producerId: -1, producerEpoch: 0, baseSequence: 0)))
    }
    return ShareAssignment.FetchedPartition(
      partition: partition, error: error, acknowledgeError: acknowledgeError, records: records,
      acquired: offsets.map { [ShareDelivery.Acquired(offsets: $0, deliveryCount: deliveryCount)] } ?? [])
  }

  private func requests(
    _ assignment: inout ShareAssignment, wants: Bool = true, flushes: Bool = false, now: NIODeadline? = nil
  ) -> [ShareAssignment.Request] {
    assignment.work(wantsRecords: wants, flushes: flushes, now: now ?? start).compactMap { work in
      if case .send(let request) = work { request } else { nil }
    }
  }

  @discardableResult
  private func take(
    _ assignment: inout ShareAssignment, _ request: ShareAssignment.Request,
    _ answers: ShareAssignment.FetchedPartition..., now: NIODeadline? = nil
  ) -> [KafkaError] {
    assignment.fetched(request, answers, lockTimeout: .seconds(30), checksCRCs: true, now: now ?? start)
  }

  private func hand(_ assignment: inout ShareAssignment, _ now: NIODeadline) throws -> ShareRecord {
    let record = assignment.take(now: now)
    return try #require(record)
  }

  /// One that has records 0, 1, … of partition 0 ready, in a session of epoch 1.
  private func filled(_ offsets: ClosedRange<Int64>, mode: AcknowledgementMode = .explicit, renews: Bool = false)
    throws -> ShareAssignment
  {
    var assignment = assignment(mode: mode, renews: renews)
    let request = requests(&assignment)[0]
    take(&assignment, request, try answer(zero, offsets))
    return assignment
  }

  @Test func `a session is opened, and says only what changes from then on`() throws {
    var assignment = assignment()
    #expect(requests(&assignment, wants: false).isEmpty)
    let first = requests(&assignment)
    #expect(first == [fetch(0, added: [zero, one])])
    #expect(requests(&assignment).isEmpty)
    take(&assignment, first[0])
    let second = requests(&assignment)
    #expect(second == [fetch(1)])
    assignment.assign([TopicPartition("t", 1)])
    take(&assignment, second[0])
    #expect(requests(&assignment) == [fetch(2, forgotten: [zero])])
  }

  @Test func `nothing is fetched while something is ready, and acknowledgements travel with the next fetch`() throws {
    var assignment = try filled(0...1)
    #expect(requests(&assignment).isEmpty)
    let first = try hand(&assignment, start)
    let second = try hand(&assignment, start)
    #expect(assignment.take(now: start) == nil)
    #expect([first.offset, second.offset] == [0, 1])
    try assignment.acknowledge(first, .accept, now: start)
    try assignment.acknowledge(second, .reject, now: start)
    let request = requests(&assignment)
    #expect(request == [fetch(1, [zero: batches([0: .accept, 1: .reject])])])
    take(&assignment, request[0], try answer(zero))
    let reports = assignment.takeReports()
    #expect(reports.count == 1 && reports[0].error == nil && reports[0].acknowledgements == [0: .accept, 1: .reject])
  }

  @Test func `acknowledgements go on their own when they are to, in the same session`() throws {
    var assignment = try filled(0...0)
    let record = try hand(&assignment, start)
    try assignment.acknowledge(record, .release, now: start)
    #expect(requests(&assignment, wants: false).isEmpty)
    let request = requests(&assignment, wants: false, flushes: true)
    #expect(request == [acknowledge(1, [zero: batches([0: .release])])])
    #expect(assignment.hasAcknowledgements)
    assignment.acknowledged(request[0], [(zero, .invalidRecordState)], lockTimeout: .zero, now: start)
    #expect(!assignment.hasAcknowledgements)
    #expect(assignment.takeReports().map(\.error?.brokerCode) == [.invalidRecordState])
    #expect(requests(&assignment) == [fetch(2)])
  }

  @Test func `in implicit mode what nothing was said of is accepted`() throws {
    var assignment = try filled(0...2, mode: .implicit)
    let first = try hand(&assignment, start)
    try assignment.acknowledge(first, .release, now: start)
    assignment.complete(now: start)
    _ = assignment.take(now: start)
    assignment.complete(now: start)
    _ = assignment.take(now: start)
    let request = requests(&assignment, flushes: true)
    #expect(request[0].acknowledgements == [zero: batches([0: .release, 1: .accept])])
  }

  @Test func `in explicit mode nothing is accepted by itself`() throws {
    var assignment = try filled(0...0)
    _ = assignment.take(now: start)
    assignment.complete(now: start)
    #expect(requests(&assignment) == [fetch(1)])
  }

  @Test func `a record is acknowledged once, and only while it is locked`() throws {
    var assignment = try filled(0...1)
    let first = try hand(&assignment, start)
    let second = try hand(&assignment, start)
    try assignment.acknowledge(first, .accept, now: start)
    #expect(throws: KafkaError.self) { try assignment.acknowledge(first, .accept, now: start) }
    do throws(KafkaError) {
      try assignment.acknowledge(second, .accept, now: start + .seconds(31))
      Issue.record("it is acknowledged")
    } catch {
      #expect(error.brokerCode == .invalidRecordState)
    }
  }

  @Test func `a record whose lock has run out before anybody took it is not handed out`() throws {
    var assignment = try filled(0...1)
    #expect(assignment.take(now: start + .seconds(30)) == nil)
  }

  @Test func `a record that was delivered again is another delivery`() throws {
    var assignment = try filled(0...0)
    let first = try hand(&assignment, start)
    let later = start + .seconds(31)
    let request = requests(&assignment, now: later)[0]
    take(&assignment, request, try answer(zero, 0...0, deliveryCount: 2), now: later)
    let second = try hand(&assignment, later)
    #expect(second.deliveryCount == 2)
    #expect(throws: KafkaError.self) { try assignment.acknowledge(first, .accept, now: later) }
    try assignment.acknowledge(second, .accept, now: later)
  }

  @Test func `no more is fetched while the application has its fill in hand, until locks run out`() throws {
    var assignment = assignment(maxRecords: 2)
    let request = requests(&assignment)[0]
    take(&assignment, request, try answer(zero, 0...1))
    let first = try hand(&assignment, start)
    _ = assignment.take(now: start)
    #expect(requests(&assignment).isEmpty)
    try assignment.acknowledge(first, .accept, now: start)
    let next = requests(&assignment)
    #expect(next.count == 1)
    take(&assignment, next[0], try answer(zero, 2...2))
    _ = assignment.take(now: start)
    #expect(requests(&assignment).isEmpty)
    #expect(requests(&assignment, now: start + .seconds(31)).count == 1)
  }

  @Test(arguments: [ErrorCode.shareSessionNotFound, .invalidShareSessionEpoch, .shareSessionLimitReached])
  func `a lost session fails what was sent in it, and another is opened`(_ code: ErrorCode) throws {
    var assignment = try filled(0...1)
    let first = try hand(&assignment, start)
    let second = try hand(&assignment, start)
    try assignment.acknowledge(first, .accept, now: start)
    let request = requests(&assignment)[0]
    try assignment.acknowledge(second, .accept, now: start)
    assignment.failed(request, KafkaError(brokerCode: code, about: "broker 1"))
    #expect(assignment.takeReports().map(\.error?.brokerCode) == [code])
    // What was not sent yet goes when the new session stands.
    let opening = requests(&assignment)
    #expect(opening == [fetch(0, added: [zero, one])])
    take(&assignment, opening[0])
    #expect(requests(&assignment) == [fetch(1, [zero: batches([1: .accept])])])
  }

  @Test func `a partition that is led by another broker fails what was acquired at the first`() throws {
    var assignment = try filled(0...0)
    let record = try hand(&assignment, start)
    let request = requests(&assignment)[0]
    let errors = take(&assignment, request, try answer(zero, error: .notLeaderOrFollower))
    #expect(errors.isEmpty)
    let work = assignment.work(wantsRecords: true, flushes: false, now: start)
    #expect(work.contains(.locate(["t"], again: false)))
    assignment.located([metadata(leaders: [2, 1])])
    try assignment.acknowledge(record, .accept, now: start)
    #expect(requests(&assignment, flushes: true).map(\.broker).contains(2))
    #expect(assignment.takeReports().map(\.error?.brokerCode) == [.notLeaderOrFollower])
  }

  @Test func `each broker has a session of its own`() {
    var assignment = assignment(leaders: [1, 2])
    #expect(requests(&assignment) == [fetch(0, added: [zero]), fetch(0, added: [one], at: 2)])
  }

  @Test func `with a limit of records one broker is asked at a time, in turn`() {
    var assignment = assignment(acquire: .recordLimit, leaders: [1, 2])
    let first = requests(&assignment)
    #expect(first.map(\.broker) == [1])
    #expect(requests(&assignment).isEmpty)
    take(&assignment, first[0])
    #expect(requests(&assignment).map(\.broker) == [2])
  }

  @Test func `gaps are acknowledged without the application`() throws {
    var assignment = assignment()
    let request = requests(&assignment)[0]
    var fetched = try answer(zero, 5...6)
    fetched.acquired = [ShareDelivery.Acquired(offsets: 3...6, deliveryCount: 1)]
    take(&assignment, request, fetched)
    let flushed = requests(&assignment, wants: false, flushes: true)
    #expect(flushed.first?.acknowledgements[zero]?.batches == [.init(first: 3, last: 4, types: [0])])
  }

  @Test func `a renewal goes at once and on its own, and the record is acknowledged later`() throws {
    var assignment = try filled(0...0)
    let record = try hand(&assignment, start)
    let later = start + .seconds(20)
    try assignment.acknowledge(record, .renew, now: later)
    let request = requests(&assignment, now: later)
    #expect(request == [acknowledge(1, [zero: batches([0: .renew])])])
    assignment.acknowledged(request[0], [(zero, .none)], lockTimeout: .seconds(30), now: later)
    try assignment.acknowledge(record, .accept, now: start + .seconds(45))
  }

  @Test func `locks are renewed in time when that is wanted, unless the broker cannot`() throws {
    var assignment = try filled(0...0, renews: true)
    _ = assignment.take(now: start)
    assignment.tick(now: start + .seconds(10))
    #expect(requests(&assignment, wants: false, flushes: true).isEmpty)
    assignment.tick(now: start + .seconds(16))
    let request = requests(&assignment, wants: false)
    #expect(request == [acknowledge(1, [zero: batches([0: .renew])])])
    #expect(assignment.withoutRenewals(request[0]) == nil)
    #expect(assignment.takeReports().map(\.error?.code) == [.unsupportedVersion])
    assignment.tick(now: start + .seconds(17))
    #expect(requests(&assignment, wants: false, flushes: true).isEmpty)
  }

  @Test func `at the end the session is closed with the last word, and nothing is locked any more`() throws {
    var assignment = try filled(0...2)
    let first = try hand(&assignment, start)
    _ = assignment.take(now: start)
    try assignment.acknowledge(first, .accept, now: start)
    let farewells = assignment.farewells()
    #expect(farewells == [acknowledge(-1, [zero: batches([0: .accept])])])
    assignment.acknowledged(farewells[0], [(zero, .none)], lockTimeout: .zero, now: start)
    #expect(!assignment.isBusy && !assignment.hasAcknowledgements)
    #expect(assignment.take(now: start) == nil)
    let again = assignment.farewells()
    #expect(again.isEmpty)
  }

  @Test func `a broker that leaves acknowledgements unanswered has not taken them`() throws {
    var assignment = try filled(0...0)
    let record = try hand(&assignment, start)
    try assignment.acknowledge(record, .accept, now: start)
    let request = requests(&assignment)[0]
    take(&assignment, request)
    #expect(assignment.takeReports().map(\.error?.code) == [.invalidResponse])
  }
}
