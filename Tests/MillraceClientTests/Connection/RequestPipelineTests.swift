import NIOCore
import Testing

@testable import MillraceClient

@Suite struct RequestPipelineTests {
  private func deadline(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }

  @Test func `answers belong to requests in order`() throws {
    var pipeline = RequestPipeline<String>()
    pipeline.sent(1, deadline: deadline(1), "a")
    pipeline.sent(2, deadline: deadline(1), "b")
    #expect(try pipeline.answered(1) == "a")
    #expect(try pipeline.answered(2) == "b")
    #expect(pipeline.isEmpty)
  }

  @Test func `an answer out of order is an error`() {
    var pipeline = RequestPipeline<String>()
    pipeline.sent(1, deadline: deadline(1), "a")
    pipeline.sent(2, deadline: deadline(1), "b")
    #expect(throws: RequestPipeline<String>.Failure.outOfOrder(expected: 1, received: 2)) { try pipeline.answered(2) }
  }

  @Test func `an answer that nobody asked for is an error`() {
    var pipeline = RequestPipeline<String>()
    #expect(throws: RequestPipeline<String>.Failure.nothingAsked(correlationId: 7)) { try pipeline.answered(7) }
  }

  @Test func `the next deadline is the earliest of all that wait`() throws {
    var pipeline = RequestPipeline<String>()
    #expect(pipeline.nextDeadline == nil)
    pipeline.sent(1, deadline: deadline(30), "fetch")
    pipeline.sent(2, deadline: deadline(5), "metadata")
    #expect(pipeline.nextDeadline == deadline(5))
    _ = try pipeline.answered(1)
    _ = try pipeline.answered(2)
    #expect(pipeline.nextDeadline == nil)
  }

  @Test func `a connection that is gone gives back all that waited`() {
    var pipeline = RequestPipeline<String>()
    pipeline.sent(1, deadline: deadline(1), "a")
    pipeline.sent(2, deadline: deadline(1), "b")
    #expect(pipeline.removeAll() == ["a", "b"])
    #expect(pipeline.isEmpty)
  }
}
