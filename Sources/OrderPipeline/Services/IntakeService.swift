// The shop's front: writes the orders that come in to `order-placed`.
//
// Where it stands in the order book is committed with the orders, as an offset of a group of its own: whenever it dies, the
// next one goes on with the first order that was not placed.

import MillraceClient

struct IntakeService: Sendable {
  /// The most orders in a transaction, and how long a transaction waits for more.
  private static let batchLimit = 2_000
  private static let pause = Duration.milliseconds(10)

  let client: ClientConfiguration
  let settings: Settings
  let topics: Topics
  let book: OrderBook
  let progress: Progress
  let tally: StageTally

  private var group: String { topics.prefix + "intake" }
  private var bookmark: TopicPartition { TopicPartition(topics.orderPlaced, 0) }

  /// Returns when all orders are placed.
  func run() async throws {
    let producer = try await TransactionalProducer(ProducerConfiguration(client), transactionalId: "\(group)-1")
    do {
      try await place(producer)
    } catch {
      await producer.close()
      throw error
    }
    await producer.close()
  }

  private func place(_ producer: TransactionalProducer) async throws {
    var next = try await placedCount()
    while true {
      progress.placed(next)
      guard let count = allowance(after: next) else { break }
      if count > 0 { try await place(next..<next + count, producer) }
      next += count
      // Orders that come in meanwhile go together: many small transactions would cost everybody much more.
      if count < Self.batchLimit { try await Task.sleep(for: Self.pause) }
    }
    // Only who still is the intake may close it.
    try await producer.withTransaction { try await turn(to: next, $0) }
    progress.closed(after: next)
  }

  private func place(_ numbers: Range<Int>, _ producer: TransactionalProducer) async throws {
    try await producer.withTransaction { transaction in
      let now = Clock.nowMs()
      for number in numbers {
        try await transaction.enqueue(try book.record(number, placedAt: now, to: topics.orderPlaced))
      }
      try await turn(to: numbers.upperBound, transaction)
    }
    tally.committed(numbers.count)
  }

  private func turn(to number: Int, _ transaction: Transaction) async throws {
    try await transaction.commit([bookmark: OffsetAndMetadata(offset: Int64(number))], ofGroup: group)
  }

  /// How many orders were placed, as the cluster knows it.
  func placedCount() async throws -> Int {
    let admin = try await Admin(client)
    let offset = try await admin.groupOffsets(group, partitions: [bookmark])[bookmark]?.offset
    await admin.close()
    return Int(offset ?? 0)
  }

  /// How many orders may be placed now; nil when that was all.
  private func allowance(after placed: Int) -> Int? {
    let elapsed = progress.elapsed
    if let duration = settings.duration, elapsed >= duration { return nil }
    var limit = settings.orders - placed
    guard limit > 0 else { return nil }
    limit = min(limit, settings.openOrders - progress.open)
    if let rate = settings.rate { limit = min(limit, Int(rate * (elapsed / .seconds(1))) - placed) }
    return min(max(limit, 0), Self.batchLimit)
  }
}
