// What clients count and measure with swift-metrics, under the names that Kafka's own clients have for it, as exporters
// write them.
//
// Metrics are made once, for a client or for a topic of it, and recorded per batch or per request, never per record. When
// nobody has bootstrapped a metrics system there are none at all.

import Metrics
import NIOCore

/// Makes the metrics of one client.
struct ClientMetrics: Sendable {
  private let factory: any MetricsFactory
  private let prefix: String
  private let clientId: String

  /// Nil when metrics go nowhere.
  ///
  /// - Parameter prefix: the kind of client, as in `kafka_producer`.
  init?(_ prefix: String, _ configuration: ClientConfiguration) {
    factory = MetricsSystem.factory
    guard !(factory is NOOPMetricsHandler) else { return nil }
    self.prefix = prefix
    clientId = configuration.clientId
  }

  func counter(_ name: String, topic: String? = nil) -> Counter {
    Counter(label: label(name), dimensions: dimensions(topic), factory: factory)
  }

  func timer(_ name: String, topic: String? = nil) -> Timer {
    Timer(label: label(name), dimensions: dimensions(topic), factory: factory)
  }

  /// Of sizes, of which the distribution is of interest.
  func recorder(_ name: String) -> Recorder {
    Recorder(label: label(name), dimensions: dimensions(), factory: factory)
  }

  func gauge(_ name: String, _ partition: TopicPartition? = nil) -> Gauge {
    Gauge(label: label(name), dimensions: dimensions(partition?.topic, partition?.partition), factory: factory)
  }

  private func label(_ name: String) -> String { "\(prefix)_\(name)" }

  private func dimensions(_ topic: String? = nil, _ partition: Int32? = nil) -> [(String, String)] {
    var dimensions = [("client_id", clientId)]
    if let topic { dimensions.append(("topic", topic)) }
    if let partition { dimensions.append(("partition", "\(partition)")) }
    return dimensions
  }
}

extension Dictionary {
  /// The value of a key, made and kept if there is none yet.
  mutating func value(of key: Key, orKeep make: (Key) -> Value) -> Value {
    if let known = self[key] { return known }
    let value = make(key)
    self[key] = value
    return value
  }
}

extension Timer {
  func record(since start: NIODeadline) {
    recordNanoseconds((NIODeadline.now() - start).nanoseconds)
  }
}
