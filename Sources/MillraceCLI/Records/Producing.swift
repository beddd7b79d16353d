// Sends the records of a feed and counts what became of them.
import MillraceClient
import Synchronization

enum Producing {
  final class Tally: Sendable {
    private let state = Mutex((written: 0, failed: 0, firstError: KafkaError?.none))

    func count(_ report: DeliveryReport) {
      state.withLock { state in
        if let error = report.error {
          state.failed += report.recordCount
          if state.firstError == nil { state.firstError = error }
        } else {
          state.written += report.recordCount
        }
      }
    }

    var written: Int { state.withLock(\.written) }
    var failed: Int { state.withLock(\.failed) }
    var firstError: KafkaError? { state.withLock(\.firstError) }
  }

  /// Some records were not written.
  struct Failure: Error, CustomStringConvertible { let description: String }

  /// - Parameter synchronous: wait for each record before the next.
  /// - Returns: how many records were written.
  static func run(
    _ feed: RecordFeed, topic: String, _ configuration: ProducerConfiguration, synchronous: Bool = false,
    adjust: @escaping @Sendable (inout OutgoingRecord) -> Void = { _ in }
  ) async throws -> Int {
    let tally = Tally()
    let producer = try await Producer(configuration) { tally.count($0) }
    let progress = ProgressLine()
    var failure: (any Error)?
    do {
      try await Interruption.watch {
        try await feed.read { record in
          var record = record
          adjust(&record)
          let sent = record.producerRecord(topic: topic)
          if synchronous { _ = try await producer.send(sent) } else { try await producer.enqueue(sent) }
          progress.update("\(tally.written) records")
        }
      }
    } catch { failure = error }
    progress.clear()
    await producer.close()
    if let failure { throw failure }
    if let error = tally.firstError {
      throw Failure(
        description: "\(tally.failed) \(tally.failed == 1 ? "record was" : "records were") not written: \(error)")
    }
    return tally.written
  }
}
