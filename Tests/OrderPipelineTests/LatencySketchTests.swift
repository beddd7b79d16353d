import Testing

@testable import OrderPipeline

@Suite("Latencies")
struct LatencySketchTests {
  @Test func `there is no percentile of nothing`() {
    #expect(LatencySketch().percentile(0.5) == nil)
  }

  @Test func `small latencies are exact`() {
    var sketch = LatencySketch()
    for milliseconds in 1...20 as ClosedRange<Int64> { sketch.add(milliseconds) }
    #expect(sketch.percentile(0.5) == 10)
    #expect(sketch.percentile(1) == 20)
  }

  @Test func `large ones are at most four percent too high`() throws {
    var sketch = LatencySketch()
    for milliseconds in 1...100_000 as ClosedRange<Int64> { sketch.add(milliseconds) }
    for share in [0.5, 0.9, 0.99] {
      let exact = share * 100_000
      let found = Double(try #require(sketch.percentile(share)))
      #expect(found >= exact && found <= exact * 1.04)
    }
  }

  @Test func `a clock that goes backwards counts as no time`() {
    var sketch = LatencySketch()
    sketch.add(-5)
    sketch.add(.max)
    #expect(sketch.percentile(0.5) == 0)
    #expect(sketch.percentile(1) == .max)
  }
}
