import MillraceProtocol
import Testing

@testable import MillraceBroker

@Suite("Very many records in flight")
struct ShareScaleTests {
  /// Prints what one costs with how many in flight; that all arrive is what is checked.
  @Test func `ten thousand records in flight are acknowledged one by one`() async throws {
    let broker = try GroupBroker(["group.share.partition.max.record.locks": "10000"])
    let topic = try await broker.makeSharedTopic()
    for batch in 0..<100 { try await broker.produce((0..<100).map { "\(batch)-\($0)" }, to: topic) }
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome(maxRecords: 10_000).count == 10_000)
    // Every second one first, so that the runs cannot join: the most there can be.
    let order = Array(stride(from: Int64(1), to: 10_000, by: 2)) + Array(stride(from: Int64(0), to: 10_000, by: 2))
    for part in stride(from: 0, to: order.count, by: 2_500) {
      var answers: [PendingAnswer<ShareAcknowledgeRequest>] = []
      let time = try ContinuousClock().measure {
        for offset in order[part..<(part + 2_500)] {
          answers.append(try broker.begin(member.acknowledgeRequest(offset...offset, [1]), on: member.connection))
        }
      }
      let inFlight = broker.sharePartition(topic)?.acquired ?? 0
      print("\(inFlight + 2_500) to \(inFlight) in flight: \(time / 2_500) an acknowledgement")
      for answer in answers {
        let response = try await answer.answer()
        try #require(response.responses[0].partitions[0].errorCode.code == .none)
      }
    }
    #expect(broker.sharePartition(topic)?.startOffset == 10_000)
  }
}
