import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct TransactionDescribeTests {
  private func stage() throws -> (TransactionStage, Producer) {
    var stage = TransactionStage()
    _ = try stage.producer("idle")
    let open = try stage.producer("open", timeoutMs: 7_000)
    #expect(stage.add("u", "t", to: open) == .none)
    stage.pass(ms: 500)
    return (stage, open)
  }

  private func list(
    _ stage: TransactionStage, _ filter: ListTransactionsRequest, pattern: RegularExpression? = nil
  ) -> [String] {
    stage.shard.list(filter, pattern: pattern, now: stage.now).map(\.transactionalId)
  }

  @Test func `a transaction is described with its partitions`() throws {
    let (stage, open) = try stage()
    let described = stage.shard.describe("open")
    #expect(described.transactionState == "Ongoing" && described.transactionTimeoutMs == 7_000)
    #expect(described.producerId == open.id && described.producerEpoch == open.epoch)
    #expect(described.transactionStartTimeMs == stage.now.wallMs - 500)
    #expect(described.topics.map(\.topic) == ["t", "u"] && described.topics[0].partitions == [0])
    #expect(stage.shard.describe("idle").transactionStartTimeMs == -1)
    #expect(stage.shard.describe("x").errorCode == ErrorCode.transactionalIdNotFound.rawValue)
    #expect(stage.shard.describe("").errorCode == ErrorCode.invalidRequest.rawValue)
  }

  @Test func `transactions are listed by state, producer and age`() throws {
    let (stage, open) = try stage()
    #expect(list(stage, ListTransactionsRequest()) == ["idle", "open"])
    #expect(list(stage, ListTransactionsRequest(stateFilters: ["Ongoing"])) == ["open"])
    #expect(list(stage, ListTransactionsRequest(stateFilters: ["Dead"])) == [])
    #expect(list(stage, ListTransactionsRequest(producerIdFilters: [open.id, 99])) == ["open"])
    #expect(list(stage, ListTransactionsRequest(stateFilters: ["Ongoing"], durationFilter: 499)) == ["open"])
    #expect(list(stage, ListTransactionsRequest(stateFilters: ["Ongoing"], durationFilter: 500)) == [])
    #expect(list(stage, ListTransactionsRequest(), pattern: try RegularExpression("(?i)OP.*|x")) == ["open"])
    #expect(list(stage, ListTransactionsRequest(), pattern: try RegularExpression("pe")) == [])
    #expect(TransactionShard.unknownStates(in: ["Ongoing", "Nonsense", "Dead"]) == ["Nonsense"])
  }
}
