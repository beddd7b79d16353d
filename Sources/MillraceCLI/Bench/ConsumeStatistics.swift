// The lines of Kafka's consumer performance tool. Plain values: the caller brings the time.

struct ConsumeStatistics: Sendable {
  var startMs: Int64
  var records: Int64 = 0
  var bytes: Int64 = 0
  /// From the start until partitions were assigned.
  var joinMs: Int64 = 0
  private var reported = (ms: Int64(0), records: Int64(0), bytes: Int64(0))
  private var joinReported = false

  init(startMs: Int64) {
    self.startMs = startMs
    reported.ms = startMs
  }

  static func header(detailed: Bool) -> String {
    (detailed ? "time, threadId" : "start.time, end.time")
      + ", data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec"
  }

  func totalLine(nowMs: Int64) -> String {
    let elapsed = Double(max(1, nowMs - startMs)) / 1000
    let fetchMs = max(0, nowMs - startMs - joinMs)
    let fetch = Double(max(1, fetchMs)) / 1000
    let megabytes = Double(bytes) / 1_048_576
    return [
      TimestampText.performanceTool(startMs), TimestampText.performanceTool(nowMs), four(megabytes),
      four(megabytes / elapsed), "\(records)",
      four(Double(records) / elapsed), "\(joinMs)", "\(fetchMs)", four(megabytes / fetch),
      four(Double(records) / fetch),
    ].joined(separator: ", ")
  }

  /// About what came since the last such line.
  mutating func intervalLine(nowMs: Int64) -> String {
    let join = joinReported ? 0 : joinMs
    let elapsed = Double(max(1, nowMs - reported.ms)) / 1000
    let fetchMs = max(0, nowMs - reported.ms - join)
    let fetch = Double(max(1, fetchMs)) / 1000
    let newRecords = Double(records - reported.records)
    let newMegabytes = Double(bytes - reported.bytes) / 1_048_576
    reported = (nowMs, records, bytes)
    joinReported = true
    return [
      TimestampText.performanceTool(nowMs), "0", four(Double(bytes) / 1_048_576), four(newMegabytes / elapsed),
      "\(records)",
      four(newRecords / elapsed), "\(join)", "\(fetchMs)", four(newMegabytes / fetch), four(newRecords / fetch),
    ].joined(separator: ", ")
  }

  private func four(_ value: Double) -> String { fixedPoint(value, places: 4) }
}
