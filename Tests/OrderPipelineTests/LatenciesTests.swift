import Testing

@testable import OrderPipeline

@Suite("Latencies")
struct LatenciesTests {
  @Test func `there is no percentile of nothing`() {
    #expect(Latencies().percentile(0.5) == nil)
  }

  @Test func `percentiles are exact`() {
    var latencies = Latencies()
    for milliseconds in (1...100_000 as ClosedRange<Int64>).reversed() { latencies.add(milliseconds) }
    #expect([0.5, 0.9, 0.99, 1].map { latencies.percentile($0) } == [50_000, 90_000, 99_000, 100_000])
  }

  @Test func `what comes often counts often`() {
    var latencies = Latencies()
    for _ in 0..<99 { latencies.add(7) }
    latencies.add(900)
    #expect([0.5, 0.99, 0.995].map { latencies.percentile($0) } == [7, 7, 900])
  }

  @Test func `a clock that goes backwards counts as no time`() {
    var latencies = Latencies()
    latencies.add(-5)
    latencies.add(.max)
    #expect(latencies.percentile(0.5) == 0)
    #expect(latencies.percentile(1) == .max)
  }
}
