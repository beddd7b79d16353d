import MillraceProtocol
import Testing

@testable import MillraceClient

@Suite struct FetchSessionTests {
  private func entry(_ offset: Int64, id: Uuid = .zero) -> FetchSession.Entry {
    FetchSession.Entry(topicId: id, offset: offset, leaderEpoch: 0, maxBytes: 100)
  }

  private let a = TopicPartition("a", 0)
  private let b = TopicPartition("b", 0)

  @Test func `the first fetch is full and asks for a session`() {
    var session = FetchSession()
    let request = session.request([(a, entry(0)), (b, entry(5))])
    #expect(request.sessionId == 0)
    #expect(request.epoch == 0)
    #expect(request.partitions == [a, b])
  }

  @Test func `in a session only what changed is named`() {
    var session = FetchSession()
    _ = session.request([(a, entry(0)), (b, entry(0))])
    session.answered(sessionId: 9)
    let second = session.request([(a, entry(10)), (b, entry(0))])
    #expect(second.sessionId == 9)
    #expect(second.epoch == 1)
    #expect(second.partitions == [a])
    #expect(second.forgotten.isEmpty)
    session.answered(sessionId: 9)
    let third = session.request([(b, entry(0))])
    #expect(third.epoch == 2)
    #expect(third.partitions.isEmpty)
    #expect(third.forgotten.map(\.partition) == [a])
  }

  @Test func `a broker that declines gets full fetches`() {
    var session = FetchSession()
    for _ in 0..<2 {
      let request = session.request([(a, entry(0))])
      #expect(request.sessionId == 0)
      #expect(request.epoch == 0)
      #expect(request.partitions == [a])
      session.answered(sessionId: 0)
    }
  }

  @Test func `a session that is gone is made anew`() {
    var session = FetchSession()
    _ = session.request([(a, entry(0))])
    session.answered(sessionId: 9)
    _ = session.request([(a, entry(0))])
    session.failed(sessionIsGone: true)
    let request = session.request([(a, entry(0))])
    #expect(request.sessionId == 0)
    #expect(request.epoch == 0)
    #expect(request.partitions == [a])
  }

  @Test func `after a lost answer the session is replaced`() {
    var session = FetchSession()
    _ = session.request([(a, entry(0))])
    session.answered(sessionId: 9)
    _ = session.request([(a, entry(3))])
    session.failed(sessionIsGone: false)
    let request = session.request([(a, entry(3))])
    #expect(request.sessionId == 9)
    #expect(request.epoch == 0)
    #expect(request.partitions == [a])
  }

  @Test func `a topic that was made again replaces the session`() {
    var session = FetchSession()
    _ = session.request([(a, entry(0, id: Uuid(high: 1, low: 1)))])
    session.answered(sessionId: 9)
    let request = session.request([(a, entry(0, id: Uuid(high: 2, low: 2)))])
    #expect(request.epoch == 0)
    #expect(request.partitions == [a])
  }
}
