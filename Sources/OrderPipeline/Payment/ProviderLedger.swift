// The payment provider's book: a topic of its own, written by an idempotent producer of its own, outside of all
// transactions of the pipeline. What an aborted transaction does not undo is the money.

import MillraceClient

final class ProviderLedger: Sendable {
  private let producer: Producer
  private let topic: String

  init(_ client: ClientConfiguration, topic: String) async throws {
    producer = try await Producer(ProducerConfiguration(client))
    self.topic = topic
  }

  func book(_ charge: ChargeBooked) async throws {
    try await producer.enqueue(try charge.record(to: topic))
  }

  /// Returns when everything is written.
  func close() async { await producer.close() }
}
