// What comes after a failed attempt, and what a record brings through a retry topic.

import NIOCore
import Testing

@testable import MillraceClient

@Suite struct RetryPlanTests {
  private func failure(_ verdict: HandlerFailure.Verdict) -> HandlerFailure {
    HandlerFailure(verdict, exceptionClass: "E", message: "m")
  }

  private func step(
    _ policy: RetryPolicy, _ verdict: HandlerFailure.Verdict = .retry, failures: Int, stage: Int = 0
  ) -> NextStep {
    var generator = SplitMix64(seed: 1)
    return policy.step(after: failure(verdict), failures: failures, stage: stage, using: &generator)
  }

  @Test func `a record is tried again after growing pauses, then dead-lettered`() {
    let policy = RetryPolicy(
      maxAttempts: 3, backoff: .exponential(from: .milliseconds(100), to: .seconds(1), jitter: 0))
    #expect(step(policy, failures: 1) == .again(after: .milliseconds(100)))
    #expect(step(policy, failures: 2) == .again(after: .milliseconds(200)))
    #expect(step(policy, failures: 3) == .deadLetter(reason: "Offset delivery count exceeded the threshold."))
  }

  @Test func `with retry topics it goes through all of them first`() {
    let policy = RetryPolicy(maxAttempts: 1, retryTopicDelays: [.seconds(1), .seconds(10)])
    #expect(step(policy, failures: 1, stage: 0) == .postpone(stage: 1, by: .seconds(1)))
    #expect(step(policy, failures: 1, stage: 1) == .postpone(stage: 2, by: .seconds(10)))
    #expect(step(policy, failures: 1, stage: 2) == .deadLetter(reason: RetryPolicy.exhausted))
    #expect(step(policy, failures: 1, stage: 9) == .deadLetter(reason: RetryPolicy.exhausted))
  }

  @Test func `a rejected record is dead-lettered at once, wherever it is`() {
    let policy = RetryPolicy(maxAttempts: 9, retryTopicDelays: [.seconds(1)])
    #expect(step(policy, .reject, failures: 1) == .deadLetter(reason: "Offset rejected by client."))
    #expect(step(policy, .reject, failures: 1, stage: 1) == .deadLetter(reason: RetryPolicy.rejected))
  }

  @Test func `a handler that cannot go on is no fault of the record`() {
    #expect(step(RetryPolicy(maxAttempts: 1), .stop, failures: 1) == .stop(failure(.stop)))
  }

  @Test func `any error can be thrown, and says what it is`() {
    struct Broken: Error {}
    let failure = HandlerFailure(Broken())
    #expect(failure.verdict == .retry)
    #expect(failure.exceptionClass.hasSuffix("Broken"))
    #expect(HandlerFailure(self.failure(.reject)) == self.failure(.reject))
  }

  // MARK: Topics

  @Test func `a worker reads its topics and their retry topics`() {
    let policy = RetryPolicy(retryTopicDelays: [.seconds(1), .seconds(2)])
    let topics = WorkerTopics(["a", "b"], policy)
    #expect(topics.all == ["a", "a-retry-1", "a-retry-2", "b", "b-retry-1", "b-retry-2"])
    #expect(topics.retryTopics.map(\.source) == ["a", "a", "b", "b"])
    #expect(WorkerTopics(["a"], RetryPolicy()).all == ["a"])
    // One that is asked for by its name is a topic like any other.
    #expect(!WorkerTopics(["a", "a-retry-1"], policy).retryTopics.map(\.topic).contains("a-retry-1"))
  }

  private func record(_ topic: String, _ headers: [RecordHeader]) throws -> ConsumerRecord {
    try #require(try ConsumerRecord.made(TopicPartition(topic, 3), offset: 7, timestamp: 50, headers: headers))
  }

  @Test func `a record of a retry topic knows where it was first`() throws {
    let topics = WorkerTopics(["a"], RetryPolicy(retryTopicDelays: [.seconds(1), .seconds(2)]))
    var letter = DeadLetter(topic: "a", partition: 1, offset: 99)
    letter.attempts = 4
    letter.firstFailureTimestamp = 40
    let origin = topics.origin(
      of: try record("a-retry-2", letter.headers + RetryHeaders.headers(due: 1000, timestamp: 30)))
    #expect(origin.topicPartition == TopicPartition("a", 1))
    #expect(origin.offset == 99)
    #expect(origin.timestamp == 30)
    #expect(origin.stage == 2)
    #expect(origin.failures == 4)
    #expect(origin.firstFailureTimestamp == 40)
    #expect(origin.due == 1000)
  }

  @Test func `headers of a dead letter mean nothing in the topic itself`() throws {
    let topics = WorkerTopics(["a"], RetryPolicy(retryTopicDelays: [.seconds(1)]))
    let letter = DeadLetter(topic: "b", partition: 1, offset: 99)
    let origin = topics.origin(of: try record("a", letter.headers + RetryHeaders.headers(due: 1000, timestamp: 30)))
    #expect(origin == RecordOrigin(try record("a", [])))
  }

  @Test func `a record that somebody else put into a retry topic is taken as it is`() throws {
    let origin = WorkerTopics(["a"], RetryPolicy(retryTopicDelays: [.seconds(1)])).origin(
      of: try record("a-retry-1", [RecordHeader(key: "__dlq.retry.due.timestamp", value: "soon")]))
    #expect(origin.topic == "a")
    #expect(origin.offset == 7)
    #expect(origin.due == nil)
    #expect(origin.failures == 0)
  }

  @Test func `a handler sees the headers that the record had at first`() throws {
    let own = [RecordHeader(key: "x", value: "1"), RecordHeader(key: "x", value: nil)]
    let headers =
      own + DeadLetter(topic: "a", partition: 0, offset: 1).headers + RetryHeaders.headers(due: 1, timestamp: 2)
    let topics = WorkerTopics(["a"], RetryPolicy(retryTopicDelays: [.seconds(1)]))
    let late = try record("a-retry-1", headers)
    #expect(RecordDelivery(late, attempt: 2, origin: topics.origin(of: late)).headers == own)
    let plain = try record("a", headers)
    #expect(RecordDelivery(plain, attempt: 1, origin: topics.origin(of: plain)).headers == headers)
  }
}
