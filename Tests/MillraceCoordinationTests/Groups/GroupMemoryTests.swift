// What a group keeps of requests. A request's byte strings are slices of a receive buffer, which is much larger than
// they are and lives as long as any slice of it.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupMemoryTests {
  /// What no copy of the few bytes that these tests use comes near.
  private static let limit = GroupStage.frameBytes / 8

  @Test func `members keep copies of their metadata and assignments, not the frames they came in`() throws {
    #expect(GroupStage.subscription(["orders"]).storageCapacity >= GroupStage.frameBytes)
    var stage = GroupStage()
    let leader = try stage.joinWithId("g")
    let follower = try stage.joinWithId("g")
    stage.passInitialDelay()
    let late = stage.sync("g", follower.memberId, 1)
    _ = stage.sync("g", leader.memberId, 1, assigning: [leader.memberId: "0", follower.memberId: "1"])
    #expect(stage.assignment(late) == "1")

    let members = try #require(stage.group("g")).members.values
    #expect(members.count == 2)
    for member in members {
      #expect(member.assignment.readableBytes == 1)
      #expect(member.assignment.storageCapacity < Self.limit)
      #expect(member.protocols.count == 1)
      for one in member.protocols {
        #expect(one.metadata.readableBytes > 0)
        #expect(one.metadata.storageCapacity < Self.limit)
      }
    }
    for metadata in try #require(stage.joinAnswers[leader.ticket]).members.map(\.metadata) {
      #expect(metadata.storageCapacity < Self.limit)
    }
  }
}
