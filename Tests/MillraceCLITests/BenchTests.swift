import Testing

@testable import MillraceCLI

@Suite("Measurements")
struct BenchTests {
  @Test func `a percentile is within one per cent of the truth`() {
    var histogram = LatencyHistogram()
    for value in Int64(1)...100_000 { histogram.add(value) }
    for (fraction, truth) in [(0.5, 50_000), (0.95, 95_000), (0.99, 99_000), (0.999, 99_900), (1, 100_000)]
      as [(Double, Double)]
    {
      let value = Double(histogram.value(at: fraction))
      #expect(value >= truth && value <= truth * 1.01, "\(fraction): \(value)")
    }
  }

  @Test func `small and extreme latencies have their place`() {
    var histogram = LatencyHistogram()
    #expect(histogram.value(at: 0.5) == 0)
    histogram.add(-5)
    histogram.add(0)
    histogram.add(127)
    histogram.add(.max)
    #expect(histogram.value(at: 0.5) == 0)
    #expect(histogram.value(at: 0.75) == 127)
    #expect(histogram.value(at: 1) == .max)
  }

  @Test func `the lines of a produce run are those of Kafka's tool`() {
    var statistics = ProduceStatistics(startMs: 0, reportingIntervalMs: 1000)
    for _ in 0..<1000 { statistics.add(latencyMicroseconds: 2500, bytes: 1_048_576 / 1000) }
    #expect(statistics.windowLine(nowMs: 500) == nil)
    #expect(
      statistics.windowLine(nowMs: 1000)
        == "1000 records sent, 1000.0 records/sec (1.00 MB/sec), 2.5 ms avg latency, 2.5 ms max latency.")
    #expect(statistics.windowLine(nowMs: 5000) == nil)
    #expect(
      statistics.totalLine(nowMs: 2000)
        == "1000 records sent, 500.000000 records/sec (0.50 MB/sec), 2.50 ms avg latency, 2.50 ms max latency, "
        + "3 ms 50th, 3 ms 95th, 3 ms 99th, 3 ms 99.9th.")
  }

  @Test func `the lines of a consume run are those of Kafka's tool`() {
    var statistics = ConsumeStatistics(startMs: 1000)
    statistics.records = 3000
    statistics.bytes = 3 * 1_048_576
    statistics.joinMs = 1000
    #expect(
      statistics.totalLine(nowMs: 4000)
        == "1970-01-01 00:00:01:000, 1970-01-01 00:00:04:000, 3.0000, 1.0000, 3000, 1000.0000, 1000, 2000, 1.5000, 1500.0000"
    )
    #expect(
      statistics.intervalLine(nowMs: 4000)
        == "1970-01-01 00:00:04:000, 0, 3.0000, 1.0000, 3000, 1000.0000, 1000, 2000, 1.5000, 1500.0000")
    statistics.records = 4000
    #expect(statistics.intervalLine(nowMs: 5000).hasSuffix("4000, 1000.0000, 0, 1000, 0.0000, 1000.0000"))
  }
}
