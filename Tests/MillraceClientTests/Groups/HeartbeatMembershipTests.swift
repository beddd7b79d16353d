// The life of a member of a group that its coordinator leads, as a transcript of what it does and what it is told.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct HeartbeatMembershipTests {
  private let start = NIODeadline.uptimeNanoseconds(0) + .hours(1)
  private let topic = Uuid(high: 1, low: 1)
  private let other = Uuid(high: 2, low: 2)

  private func membership(instance: String? = nil, reconciles: Bool = true) -> HeartbeatMembership {
    HeartbeatMembership(
      HeartbeatMembership.Settings(
        memberId: "m", groupInstanceId: instance, maxPollInterval: .seconds(300), reconciles: reconciles,
        backoff: Backoff(first: .milliseconds(100), limit: .seconds(1))))
  }

  private func answer(_ epoch: Int32, _ assignment: [Uuid: [Int32]]? = nil) -> HeartbeatMembership.Answer {
    HeartbeatMembership.Answer(memberId: "m", epoch: epoch, interval: .seconds(5), assignment: assignment)
  }

  private func refusal(_ code: ErrorCode) -> HeartbeatMembership.Answer { HeartbeatMembership.Answer(error: code) }

  private func heartbeat(_ epoch: Int32, owned: [Uuid: [Int32]]? = nil) -> HeartbeatMembership.Action {
    .heartbeat(HeartbeatMembership.Heartbeat(memberId: "m", epoch: epoch, owned: owned))
  }

  private func partitions(_ indexes: Int32...) -> [TopicPartition] { indexes.map { TopicPartition("t", $0) } }

  /// One that has asked to join.
  private func joining(instance: String? = nil, reconciles: Bool = true) -> HeartbeatMembership {
    var membership = membership(instance: instance, reconciles: reconciles)
    membership.subscribe(to: .topics(["t"]))
    _ = membership.next(now: start, busySince: nil)
    return membership
  }

  /// One that reads partitions 0 and 1, and has said so.
  private func stable(instance: String? = nil) -> HeartbeatMembership {
    var membership = joining(instance: instance)
    membership.answered(answer(1, [topic: [0, 1]]), now: start)
    membership.resolved([topic: "t"], now: start)
    _ = membership.next(now: start, busySince: nil)
    membership.held()
    _ = membership.next(now: start, busySince: nil)
    membership.adopted()
    _ = membership.next(now: start, busySince: nil)
    membership.answered(answer(1), now: start)
    return membership
  }

  @Test func `a member joins with all it has to say, learns the names, reads, and reports`() {
    var membership = membership()
    #expect(membership.next(now: start, busySince: nil) == .sleep(until: nil))
    membership.subscribe(to: .topics(["t"]))
    #expect(
      membership.next(now: start, busySince: nil)
        == .heartbeat(
          HeartbeatMembership.Heartbeat(
            memberId: "m", epoch: 0, rebalanceTimeout: .seconds(300), subscription: .topics(["t"]), owned: [:])))
    membership.answered(answer(1, [topic: [0, 1]]), now: start)
    #expect(membership.next(now: start, busySince: nil) == .resolve([topic]))
    membership.resolved([topic: "t"], now: start)
    #expect(membership.next(now: start, busySince: nil) == .hold(until: start + .seconds(5)))
    membership.held()
    #expect(membership.next(now: start, busySince: nil) == .adopt(partitions(0, 1)))
    membership.adopted()
    #expect(membership.next(now: start, busySince: nil) == heartbeat(1, owned: [topic: [0, 1]]))
    membership.answered(answer(1), now: start)
    #expect(membership.next(now: start, busySince: nil) == .sleep(until: start + .seconds(5)))
    #expect(membership.next(now: start + .seconds(5), busySince: nil) == heartbeat(1))
    #expect(membership.ownedPartitions == partitions(0, 1))
  }

  @Test func `what is taken away is given up and reported before what is new is taken`() {
    var membership = stable()
    membership.answered(answer(2, [topic: [1, 2]]), now: start)
    #expect(membership.next(now: start, busySince: start) == .hold(until: start + .seconds(5)))
    membership.held()
    #expect(membership.next(now: start, busySince: nil) == .release(partitions(0), isLost: false))
    membership.released()
    #expect(membership.next(now: start, busySince: nil) == heartbeat(2, owned: [topic: [1]]))
    membership.answered(answer(2), now: start)
    #expect(membership.next(now: start, busySince: nil) == .hold(until: start + .seconds(5)))
    membership.held()
    #expect(membership.next(now: start, busySince: nil) == .adopt(partitions(2)))
    membership.adopted()
    #expect(membership.next(now: start, busySince: nil) == heartbeat(2, owned: [topic: [1, 2]]))
  }

  @Test func `it is heard of while the application is waited for and called`() {
    var membership = stable()
    membership.answered(answer(2, [topic: [0]]), now: start)
    let later = start + .seconds(5)
    #expect(membership.next(now: start, busySince: start) == .hold(until: later))
    #expect(membership.next(now: later, busySince: start) == heartbeat(2))
    membership.answered(answer(2), now: later)
    membership.held()
    #expect(membership.next(now: later, busySince: nil) == .release(partitions(1), isLost: false))
    #expect(membership.next(now: later, busySince: nil) == .sleep(until: later + .seconds(5)))
    #expect(membership.next(now: later + .seconds(5), busySince: nil) == heartbeat(2))
  }

  @Test func `a plan that changes back lets the application go on`() {
    var membership = stable()
    membership.answered(answer(2, [topic: [0]]), now: start)
    #expect(membership.next(now: start, busySince: start) == .hold(until: start + .seconds(5)))
    membership.answered(answer(3, [topic: [0, 1]]), now: start)
    #expect(membership.next(now: start, busySince: start) == .letGo)
    membership.letGo()
    #expect(membership.next(now: start, busySince: start) == .sleep(until: start + .seconds(5)))
  }

  @Test func `what is taken away while it is being taken is given up afterwards`() {
    var membership = joining()
    membership.answered(answer(1, [topic: [0]]), now: start)
    membership.resolved([topic: "t"], now: start)
    membership.held()
    #expect(membership.next(now: start, busySince: nil) == .adopt(partitions(0)))
    membership.answered(answer(2, [:]), now: start)
    membership.adopted()
    #expect(membership.next(now: start, busySince: nil) == heartbeat(2, owned: [topic: [0]]))
    membership.answered(answer(2), now: start)
    membership.held()
    #expect(membership.next(now: start, busySince: nil) == .release(partitions(0), isLost: false))
  }

  @Test func `a topic that was made again under its name is another topic`() {
    var membership = stable()
    membership.answered(answer(2, [other: [0]]), now: start)
    membership.held()
    #expect(membership.next(now: start, busySince: nil) == .release(partitions(0, 1), isLost: false))
    membership.released()
    #expect(membership.next(now: start, busySince: nil) == heartbeat(2, owned: [:]))
    membership.answered(answer(2), now: start)
    #expect(membership.next(now: start, busySince: nil) == .resolve([other]))
    membership.resolved([other: "t"], now: start)
    membership.held()
    #expect(membership.next(now: start, busySince: nil) == .adopt(partitions(0)))
  }

  @Test func `names that are not there yet are looked for again after a pause`() {
    var membership = joining()
    membership.answered(answer(1, [topic: [0]]), now: start)
    #expect(membership.next(now: start, busySince: nil) == .resolve([topic]))
    membership.resolved([:], now: start)
    guard case .sleep(let until?) = membership.next(now: start, busySince: nil) else {
      Issue.record("it does not wait")
      return
    }
    #expect(until > start && until < start + .seconds(1))
    #expect(membership.next(now: until, busySince: nil) == .resolve([topic]))
  }

  @Test(arguments: [ErrorCode.fencedMemberEpoch, .unknownMemberId])
  func `a fenced member drops its partitions and joins again under its id`(_ code: ErrorCode) {
    var membership = stable()
    membership.answered(refusal(code), now: start)
    #expect(membership.next(now: start, busySince: start) == .release(partitions(0, 1), isLost: true))
    membership.released()
    guard case .heartbeat(let join) = membership.next(now: start, busySince: start) else {
      Issue.record("it does not join")
      return
    }
    #expect(join.memberId == "m" && join.epoch == 0 && join.owned == [:] && join.subscription == .topics(["t"]))
  }

  @Test func `a member that is fenced while it gives partitions up loses the rest`() {
    var membership = stable()
    membership.answered(answer(2, [topic: [0]]), now: start)
    membership.held()
    #expect(membership.next(now: start, busySince: nil) == .release(partitions(1), isLost: false))
    membership.answered(refusal(.fencedMemberEpoch), now: start)
    #expect(membership.next(now: start, busySince: nil) == .sleep(until: nil))
    membership.released()
    #expect(membership.next(now: start, busySince: nil) == .release(partitions(0), isLost: true))
  }

  @Test func `a join that is refused as unknown is not repeated at once`() {
    var membership = joining()
    membership.answered(refusal(.unknownMemberId), now: start)
    guard case .sleep(let until?) = membership.next(now: start, busySince: nil) else {
      Issue.record("it does not wait")
      return
    }
    #expect(until > start)
  }

  @Test func `after a lost answer everything is said again, partitions kept`() {
    var membership = stable()
    let now = start + .seconds(5)
    #expect(membership.next(now: now, busySince: nil) == heartbeat(1))
    membership.failed(KafkaError(.connectionFailed, "lost"), now: now)
    guard case .sleep(let until?) = membership.next(now: now, busySince: nil) else {
      Issue.record("it does not wait")
      return
    }
    #expect(
      membership.next(now: until, busySince: nil)
        == .heartbeat(
          HeartbeatMembership.Heartbeat(
            memberId: "m", epoch: 1, rebalanceTimeout: .seconds(300), subscription: .topics(["t"]),
            owned: [topic: [0, 1]])))
    #expect(membership.ownedPartitions == partitions(0, 1))
  }

  @Test(arguments: [ErrorCode.notCoordinator, .coordinatorNotAvailable, .coordinatorLoadInProgress])
  func `a coordinator that moves is followed after a pause`(_ code: ErrorCode) {
    var membership = stable()
    membership.answered(refusal(code), now: start)
    guard case .sleep(let until?) = membership.next(now: start, busySince: nil) else {
      Issue.record("it does not wait")
      return
    }
    #expect(until > start && until < start + .seconds(1))
    guard case .heartbeat(let next) = membership.next(now: until, busySince: nil) else {
      Issue.record("it is silent")
      return
    }
    #expect(next.epoch == 1)
  }

  @Test(arguments: [
    ErrorCode.unsupportedVersion, .groupMaxSizeReached, .unreleasedInstanceId, .fencedInstanceId, .unsupportedAssignor,
    .invalidRequest, .groupAuthorizationFailed, .invalidRegularExpression,
  ])
  func `what cannot pass stops the member, which gives up what it had`(_ code: ErrorCode) {
    var membership = stable()
    membership.answered(refusal(code), now: start)
    #expect(membership.next(now: start, busySince: start) == .release(partitions(0, 1), isLost: true))
    membership.released()
    guard case .stop(let error) = membership.next(now: start, busySince: start) else {
      Issue.record("it goes on")
      return
    }
    #expect(error.brokerCode == code)
  }

  @Test func `an application that takes too long loses its partitions and has to come back`() {
    var membership = stable()
    let late = start + .seconds(301)
    #expect(membership.next(now: late, busySince: start) == .leave)
    #expect(membership.farewell.epoch == -1)
    membership.left()
    #expect(membership.next(now: late, busySince: start) == .release(partitions(0, 1), isLost: true))
    membership.released()
    #expect(membership.next(now: late, busySince: start) == .hold(until: nil))
    membership.held()
    #expect(membership.next(now: late, busySince: nil) == .letGo)
    membership.letGo()
    guard case .heartbeat(let join) = membership.next(now: late, busySince: nil) else {
      Issue.record("it does not join")
      return
    }
    #expect(join.epoch == 0)
  }

  @Test func `a member that is about to leave is heard of, and changes nothing any more`() {
    var membership = stable()
    membership.prepareToLeave()
    membership.answered(answer(2, [topic: [0, 1, 2]]), now: start)
    #expect(membership.next(now: start, busySince: start) == .sleep(until: start + .seconds(5)))
    #expect(membership.next(now: start + .seconds(5), busySince: start) == heartbeat(2))
    membership.answered(refusal(.unknownMemberId), now: start)
    #expect(membership.next(now: start, busySince: nil) == .sleep(until: nil))
  }

  @Test func `a static member says that it will be back`() {
    let membership = stable(instance: "one")
    #expect(membership.farewell == HeartbeatMembership.Heartbeat(memberId: "m", epoch: -2, groupInstanceId: "one"))
  }

  @Test func `other topics are told at once, and only they`() {
    var membership = stable()
    membership.subscribe(to: .topics(["t"]))
    #expect(membership.next(now: start, busySince: nil) == .sleep(until: start + .seconds(5)))
    membership.subscribe(to: .pattern("t.*"))
    #expect(
      membership.next(now: start, busySince: nil)
        == .heartbeat(HeartbeatMembership.Heartbeat(memberId: "m", epoch: 1, subscription: .pattern("t.*"))))
  }

  @Test func `in a share group partitions come and go without waiting and without a report`() {
    var membership = joining(reconciles: false)
    membership.answered(answer(1, [topic: [0, 1]]), now: start)
    membership.resolved([topic: "t"], now: start)
    #expect(membership.next(now: start, busySince: start) == .adopt(partitions(0, 1)))
    membership.adopted()
    #expect(membership.next(now: start, busySince: start) == .sleep(until: start + .seconds(5)))
    membership.answered(answer(2, [topic: [1]]), now: start)
    #expect(membership.next(now: start, busySince: start) == .release(partitions(0), isLost: false))
    membership.released()
    #expect(membership.next(now: start + .seconds(5), busySince: start) == heartbeat(2))
  }

  @Test func `an empty pattern ends one of before`() {
    let topics = ConsumerGroupHeartbeatRequest(
      HeartbeatMembership.Heartbeat(memberId: "m", epoch: 1, subscription: .topics(["b", "a"])), group: "g")
    #expect(topics.subscribedTopicNames == ["a", "b"] && topics.subscribedTopicRegex == "")
    let pattern = ConsumerGroupHeartbeatRequest(
      HeartbeatMembership.Heartbeat(memberId: "m", epoch: 1, subscription: .pattern("x")), group: "g")
    #expect(pattern.subscribedTopicNames == [] && pattern.subscribedTopicRegex == "x")
    let neither = ConsumerGroupHeartbeatRequest(HeartbeatMembership.Heartbeat(memberId: "m", epoch: 1), group: "g")
    #expect(neither.subscribedTopicNames == nil && neither.subscribedTopicRegex == nil)
    #expect(neither.rebalanceTimeoutMs == -1 && neither.topicPartitions == nil)
  }
}
