// What a run of records cost, in the words of Kafka's producer performance tool. Plain values: the caller brings the time.

struct ProduceStatistics: Sendable {
  /// A window of time, or the whole.
  struct Span: Sendable {
    var startMs: Int64
    var count: Int64 = 0
    var bytes: Int64 = 0
    var latencySumMs = 0.0
    var latencyMaxMs = 0.0

    mutating func add(latencyMs: Double, bytes: Int64) {
      count += 1
      self.bytes += bytes
      latencySumMs += latencyMs
      latencyMaxMs = max(latencyMaxMs, latencyMs)
    }

    func recordsPerSecond(_ nowMs: Int64) -> Double { 1000 * Double(count) / Double(max(1, nowMs - startMs)) }
    func megabytesPerSecond(_ nowMs: Int64) -> Double {
      1000 * Double(bytes) / Double(max(1, nowMs - startMs)) / 1_048_576
    }
    var latencyMeanMs: Double { count == 0 ? 0 : latencySumMs / Double(count) }
  }

  private(set) var total: Span
  private(set) var window: Span
  private(set) var latencies = LatencyHistogram()
  private let reportingIntervalMs: Int64

  init(startMs: Int64, reportingIntervalMs: Int64) {
    total = Span(startMs: startMs)
    window = Span(startMs: startMs)
    self.reportingIntervalMs = reportingIntervalMs
  }

  /// A record was acknowledged.
  mutating func add(latencyMicroseconds: Int64, bytes: Int64) {
    let milliseconds = Double(latencyMicroseconds) / 1000
    total.add(latencyMs: milliseconds, bytes: bytes)
    window.add(latencyMs: milliseconds, bytes: bytes)
    latencies.add(latencyMicroseconds)
  }

  /// A line about the window, when it is over; then the next window begins.
  mutating func windowLine(nowMs: Int64) -> String? {
    guard nowMs - window.startMs >= reportingIntervalMs, window.count > 0 else { return nil }
    defer { window = Span(startMs: nowMs) }
    return "\(window.count) records sent, \(fixedPoint(window.recordsPerSecond(nowMs), places: 1)) records/sec "
      + "(\(fixedPoint(window.megabytesPerSecond(nowMs), places: 2)) MB/sec), \(fixedPoint(window.latencyMeanMs, places: 1)) ms avg latency, "
      + "\(fixedPoint(window.latencyMaxMs, places: 1)) ms max latency."
  }

  func totalLine(nowMs: Int64, isSteadyState: Bool = false) -> String {
    let percentiles = [(0.5, "50th"), (0.95, "95th"), (0.99, "99th"), (0.999, "99.9th")].map { fraction, name in
      "\((latencies.value(at: fraction) + 500) / 1000) ms \(name)"
    }
    return "\(total.count)\(isSteadyState ? " steady state" : "") records sent, "
      + "\(fixedPoint(total.recordsPerSecond(nowMs), places: 6)) records/sec (\(fixedPoint(total.megabytesPerSecond(nowMs), places: 2)) MB/sec), "
      + "\(fixedPoint(total.latencyMeanMs, places: 2)) ms avg latency, \(fixedPoint(total.latencyMaxMs, places: 2)) ms max latency, "
      + percentiles.joined(separator: ", ") + "."
  }
}
