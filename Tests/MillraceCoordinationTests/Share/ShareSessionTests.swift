// Share sessions: epochs, the set of partitions, ends and limits.

import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct ShareSessionTests {
  private let key = ShareSessionKey(groupId: "g", memberId: "m")
  private let p = (0..<4).map { ShareTopicPartition(topicId: .zero, partition: $0) }

  private func fetch(
    _ sessions: inout ShareSessions, _ epoch: Int32, adding: [ShareTopicPartition] = [],
    forgetting: [ShareTopicPartition] = [], acknowledging: Bool = false, member: String = "m"
  ) -> Result<ShareFetchContext, ShareSessionRefusal> {
    sessions.fetch(
      ShareSessionKey(groupId: "g", memberId: member), epoch: epoch, adding: adding, forgetting: forgetting,
      hasAcknowledgements: acknowledging, connection: 1)
  }

  private func partitions(_ result: Result<ShareFetchContext, ShareSessionRefusal>) -> Set<ShareTopicPartition>? {
    guard case .success(.fetch(let partitions)) = result else { return nil }
    return Set(partitions)
  }

  @Test func `a session begins with epoch zero, and each request carries the next number`() {
    var sessions = ShareSessions(limit: 2)
    #expect(fetch(&sessions, 1) == .failure(.shareSessionNotFound))
    #expect(partitions(fetch(&sessions, 0, adding: [p[0], p[1]])) == [p[0], p[1]])
    #expect(partitions(fetch(&sessions, 1)) == [p[0], p[1]])
    #expect(sessions.acknowledge(key, epoch: 2) == .success(.acknowledge))
    #expect(fetch(&sessions, 2) == .failure(.invalidShareSessionEpoch))
    #expect(partitions(fetch(&sessions, 3)) == [p[0], p[1]])
  }

  @Test func `an acknowledgement cannot begin a session`() {
    var sessions = ShareSessions(limit: 2)
    #expect(sessions.acknowledge(key, epoch: 0) == .failure(.invalidShareSessionEpoch))
    #expect(sessions.acknowledge(key, epoch: 1) == .failure(.shareSessionNotFound))
    #expect(sessions.acknowledge(key, epoch: -1) == .failure(.shareSessionNotFound))
    #expect(fetch(&sessions, 0, acknowledging: true) == .failure(.invalidRequest))
  }

  @Test func `partitions are added, kept and forgotten`() {
    var sessions = ShareSessions(limit: 2)
    _ = fetch(&sessions, 0, adding: [p[0]])
    #expect(partitions(fetch(&sessions, 1, adding: [p[1], p[2]])) == [p[0], p[1], p[2]])
    #expect(partitions(fetch(&sessions, 2, forgetting: [p[0], p[3]])) == [p[1], p[2]])
    #expect(sessions.partitionCount == 2)
  }

  @Test func `every partition gets its turn to be the first`() {
    var sessions = ShareSessions(limit: 2)
    _ = fetch(&sessions, 0, adding: p)
    var firsts: Set<ShareTopicPartition> = []
    for epoch in Int32(1)...4 {
      if case .success(.fetch(let partitions)) = fetch(&sessions, epoch) { firsts.insert(partitions[0]) }
    }
    #expect(firsts == Set(p))
  }

  @Test func `beginning anew drops the old session`() {
    var sessions = ShareSessions(limit: 1)
    _ = fetch(&sessions, 0, adding: [p[0]])
    #expect(partitions(fetch(&sessions, 0, adding: [p[1]])) == [p[1]])
    #expect(partitions(fetch(&sessions, 1)) == [p[1]])
    #expect(sessions.count == 1)
    #expect(sessions.memberCount(ofGroup: "g") == 1)
  }

  @Test func `the last request says what to release`() {
    var sessions = ShareSessions(limit: 1)
    _ = fetch(&sessions, 0, adding: [p[0], p[1]])
    #expect(fetch(&sessions, -1) == .success(.final))
    #expect(sessions.acknowledge(key, epoch: -1) == .success(.final))
    #expect(Set(sessions.end(key)) == [p[0], p[1]])
    #expect(sessions.end(key).isEmpty)
    #expect(fetch(&sessions, -1) == .failure(.shareSessionNotFound))
    #expect((sessions.count, sessions.partitionCount, sessions.memberCount(ofGroup: "g")) == (0, 0, 0))
  }

  @Test func `a lost connection ends its sessions`() {
    var sessions = ShareSessions(limit: 4)
    _ = fetch(&sessions, 0, adding: [p[0]])
    _ = fetch(&sessions, 0, adding: [p[1]], member: "n")
    let ended = sessions.disconnected(1)
    #expect(Set(ended.map(\.key.memberId)) == ["m", "n"])
    #expect(sessions.count == 0)
    #expect(sessions.disconnected(1).isEmpty)
    #expect(sessions.disconnected(99).isEmpty)
  }

  @Test func `there is a limit to the sessions, and an end makes room`() {
    var sessions = ShareSessions(limit: 1)
    _ = fetch(&sessions, 0)
    #expect(fetch(&sessions, 0, member: "n") == .failure(.shareSessionLimitReached))
    sessions.end(key)
    #expect(partitions(fetch(&sessions, 0, member: "n")) == [])
  }

  @Test func `epochs out of all bounds are refused`() {
    var sessions = ShareSessions(limit: 1)
    _ = fetch(&sessions, 0)
    for epoch in [Int32.min, -2, 2, .max] {
      #expect(fetch(&sessions, epoch) == .failure(.invalidShareSessionEpoch))
      #expect(sessions.acknowledge(key, epoch: epoch) == .failure(.invalidShareSessionEpoch))
    }
  }

  @Test func `an answer names a partition that is new or has something to say`() {
    var sessions = ShareSessions(limit: 1)
    _ = fetch(&sessions, 0, adding: [p[0]])
    _ = fetch(&sessions, 1, adding: [p[1]])
    let (seen, new) = (p[0], p[1])
    let answers = [
      sessions.includes(seen, of: key, hasRecords: false, hasError: false),
      sessions.includes(new, of: key, hasRecords: false, hasError: false),
      sessions.includes(new, of: key, hasRecords: false, hasError: false),
      sessions.includes(seen, of: key, hasRecords: false, hasError: true),
      sessions.includes(seen, of: key, hasRecords: false, hasError: false),
      sessions.includes(seen, of: key, hasRecords: true, hasError: false),
    ]
    #expect(answers == [false, true, false, true, true, true])
  }
}
