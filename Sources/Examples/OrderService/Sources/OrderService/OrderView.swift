// The orders as they are now: what the topic says, in memory. Any number of instances can each have such a view.

import MillraceClient
import ServiceLifecycle
import Synchronization

final class OrderView: Service {
  private let client: ClientConfiguration
  private let orders = Mutex<[String: Order]>([:])
  /// As far as it was read before the service began.
  private let start = Mutex<[TopicPartition: StartPosition]>([:])

  /// Reads what is in the topic already, so that no order is unknown after a restart.
  init(_ client: ClientConfiguration) async throws {
    self.client = client
    var configuration = ConsumerConfiguration(client)
    configuration.stopAtEnd = true
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: [Order.topic.name], from: .earliest)
    for try await record in consumer.records { try note(record) }
    start.withLock { start in
      for partition in consumer.assignment { start[partition] = .offset(consumer.position(of: partition) ?? 0) }
    }
    await consumer.close()
  }

  subscript(id: String) -> Order? { orders.withLock { $0[id] } }

  /// Goes on with what is written from then on.
  func run() async throws {
    let consumer = try await Consumer(ConsumerConfiguration(client))
    try await consumer.assign(start.withLock { $0 })
    for try await record in consumer.records.cancelOnGracefulShutdown() { try note(record) }
    await consumer.close()
  }

  private func note(_ record: ConsumerRecord) throws {
    let order = try Order.topic.decode(record).value
    orders.withLock { $0[order.id] = order }
  }
}
