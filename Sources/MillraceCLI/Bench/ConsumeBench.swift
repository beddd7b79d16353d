// Reads records as fast as they come and measures, as Kafka's kafka-consumer-perf-test.sh does.
import MillraceClient

struct ConsumeBench: Sendable {
  var topics: [String]
  var count: Int64
  var idleTimeout: Duration = .seconds(10)
  var reportingIntervalMs: Int64 = 5000
  var showsIntervals = false
  var showsHeader = true

  struct TooFew: Error, CustomStringConvertible { let description: String }

  func run(_ configuration: ConsumerConfiguration) async throws {
    if showsHeader { try Output.standard.line(ConsumeStatistics.header(detailed: showsIntervals)) }
    try Output.standard.flush()
    let state = Guarded(ConsumeStatistics(startMs: Surroundings.nowMs()))
    var configuration = configuration
    configuration.onRebalance = { event in
      guard case .assigned = event else { return }
      state.change { state in if state.joinMs == 0 { state.joinMs = max(1, Surroundings.nowMs() - state.startMs) } }
    }
    let consumer = try await Consumer(configuration)
    var failure: (any Error)?
    do {
      try await Interruption.watch {
        try await consumer.subscribe(to: topics)
        let watch = IdleWatch()
        try await withThrowingTaskGroup(of: Void.self) { group in
          group.addTask {
            try await read(consumer) { change in
              watch.touch()
              return state.change(change)
            }
          }
          group.addTask { try await watch.untilIdle(for: idleTimeout) }
          defer { group.cancelAll() }
          try await group.next()
        }
      }
    } catch { failure = error }
    let nowMs = Surroundings.nowMs()
    await consumer.close()
    if let failure { throw failure }
    let end = state.value
    if end.records < count {
      try Output.standard.line(
        "WARNING: Exiting before consuming the expected number of records: timeout (\(idleTimeout.microseconds / 1000) ms) exceeded. "
          + "You can use the --timeout option to increase the timeout.")
    }
    if !showsIntervals { try Output.standard.line(end.totalLine(nowMs: nowMs)) }
  }

  /// - Parameter record: changes the statistics and gives back the line to print, if one is due.
  private func read(
    _ consumer: Consumer, _ record: @Sendable ((inout ConsumeStatistics) -> String?) -> String?
  ) async throws {
    var lastReportMs = Surroundings.nowMs()
    var total: Int64 = 0
    for try await batch in consumer.batches {
      var records: Int64 = 0
      var bytes: Int64 = 0
      for record in batch {
        records += 1
        bytes += Int64(record.keyByteCount + record.valueByteCount)
      }
      total += records
      let nowMs = Surroundings.nowMs()
      let isDue = showsIntervals && nowMs - lastReportMs >= reportingIntervalMs
      let line = record { state in
        state.records += records
        state.bytes += bytes
        return isDue ? state.intervalLine(nowMs: nowMs) : nil
      }
      if let line {
        lastReportMs = nowMs
        try Output.standard.line(line)
        try Output.standard.flush()
      }
      if total >= count { return }
    }
  }
}
