// Keeps the stock cache true: reads what happens to the inventory and drops what changed. Every process with a cache reads
// all of it, so there is no group, and no transaction, as nothing is written.

import MillraceClient

struct StockCacheInvalidation: Sendable {
  let client: ClientConfiguration
  let topics: Topics
  let partitions: Int32
  let cache: StockCache

  func run() async throws {
    var configuration = ConsumerConfiguration(client)
    configuration.isolation = .readCommitted
    let consumer = try await Consumer(configuration)
    try await consumer.assign(try await ends().mapValues { .offset($0) })
    // Only now: what was remembered before may have changed before those ends, and what comes behind them is read.
    cache.invalidateAll()
    for try await batch in consumer.batches {
      for record in batch { cache.invalidate(try InventoryUpdated(record).product) }
    }
  }

  private func ends() async throws -> [TopicPartition: Int64] {
    let admin = try await Admin(client)
    let queries = (0..<partitions).map { (TopicPartition(topics.inventoryUpdated, $0), OffsetQuery.latest) }
    let ends = try await admin.listOffsets(Dictionary(uniqueKeysWithValues: queries), isolation: .readCommitted)
      .mapValues { try $0.get().offset }
    await admin.close()
    return ends
  }
}
