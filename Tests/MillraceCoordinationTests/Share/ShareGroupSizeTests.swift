import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct ShareGroupSizeTests {
  /// A group whose members have what they are to have, and the time of one heartbeat of one of them.
  private func heartbeatTime(members: Int) -> Duration {
    var stage = ShareGroupStage(topics: ["t": 8])
    stage.config.maxSize = Int32(members)
    let names = (0..<members).map { "m\($0)" }
    for name in names { _ = stage.heartbeat(name, topics: ["t"]) }
    stage.settle()
    let epochs = names.map { stage.shard.groups["g"]?.members[$0]?.memberEpoch ?? -1 }
    var best = Duration.seconds(1000)
    for _ in 0..<5 {
      let journaled = stage.journal.count
      let time = ContinuousClock().measure {
        for (name, epoch) in zip(names, epochs).prefix(10) { _ = stage.heartbeat(name, epoch: epoch) }
      }
      #expect(stage.journal.count == journaled, "a heartbeat that says nothing new journals nothing")
      best = min(best, time / 10)
    }
    return best
  }

  @Test func `a heartbeat costs the same in a group of a thousand as in one of ten`() {
    let small = heartbeatTime(members: 10)
    let large = heartbeatTime(members: 1000)
    // Work for each member would make it a hundred times as much.
    #expect(large < small * 10, "\(small) with ten members, \(large) with a thousand")
  }
}
