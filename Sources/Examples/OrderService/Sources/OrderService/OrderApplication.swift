// HTTP in front of the topic, and who works behind it.

import Foundation
import Hummingbird
import MillraceClient
import ServiceLifecycle

/// - Parameters:
///   - client: how to reach the broker, wherever it is.
///   - port: 0 takes a free one.
///   - whenServing: told the port when the server runs.
func orderApplication(
  _ client: ClientConfiguration, port: Int, whenServing: @escaping @Sendable (_ port: Int?) -> Void = { _ in }
) async throws -> some ApplicationProtocol {
  try await createTopic(client)
  let producer = try await Producer(ProducerConfiguration(client))
  let view = try await OrderView(client)

  let router = Router()
  router.post("orders") { request, context in
    let wanted = try await request.decode(as: OrderRequest.self, context: context)
    guard wanted.quantity > 0 else { throw HTTPError(.badRequest, message: "the quantity must be greater than zero") }
    let order = Order(id: UUID().uuidString, item: wanted.item, quantity: wanted.quantity, state: .placed)
    // Returns when it is written: on the disk, if the broker has one.
    try await producer.send(Order.topic, key: order.id, value: order)
    return EditedResponse(status: .accepted, response: order)
  }
  router.get("orders/:id") { _, context in
    guard let order = view[try context.parameters.require("id")] else { throw HTTPError(.notFound) }
    return order
  }

  // In this order, as the first is shut down last.
  return Application(
    router: router, configuration: .init(address: .hostname("127.0.0.1", port: port)),
    services: [producer, view, packing(client, producer)],
    onServerRunning: { whenServing($0.localAddress?.port) })
}

/// Packs orders that were placed, each at least once, also those of which it does not hear until the next start.
private func packing(_ client: ClientConfiguration, _ producer: Producer) -> some Service {
  var consumer = ConsumerConfiguration(client, groupId: "packing")
  consumer.groupProtocol = .consumer
  consumer.autoOffsetReset = .earliest
  return RecordWorker(WorkerConfiguration(consumer)).service(
    [Order.topic.name],
    Order.topic.handler { record, _ in
      var order = record.value
      guard order.state == .placed else { return }
      order.state = .packed
      try await producer.send(Order.topic, key: order.id, value: order)
    })
}

private func createTopic(_ client: ClientConfiguration) async throws {
  let admin = try await Admin(client)
  // Compaction keeps the last record of each order.
  let topic = NewTopic(Order.topic.name, partitions: 3, configs: ["cleanup.policy": "compact"])
  do {
    _ = try await admin.createTopics([topic])[topic.name]?.get()
  } catch let error where error.brokerCode == .topicAlreadyExists {
    // From an earlier start.
  }
  await admin.close()
}
