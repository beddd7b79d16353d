// From what an embedding program says to Kafka's settings.

import MillraceBroker
import MillraceClient
import NIOCore

extension MillraceBroker.BrokerConfiguration {
  /// What a broker without a disk is better off with, unless somebody says otherwise: nothing is gained by a flush or
  /// by spreading groups, and its groups are those of one program, which need not wait for members to come.
  private static let inMemory = [
    "log.durability": "buffered", "group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4", "share.coordinator.state.topic.num.partitions": "4",
  ]

  init(_ configuration: Millrace.Broker.Configuration) throws(BrokerError) {
    var settings = configuration.settings
    switch configuration.storage.kind {
    case .memory:
      settings.merge(Self.inMemory) { given, _ in given }
      try Self.set("log.dirs", "memory", "storage", in: &settings)
    case .directory(let path):
      try Self.set("log.dirs", path, "storage", in: &settings)
    }
    if let listener = configuration.listener {
      try Self.set("listeners", "PLAINTEXT://\(listener)", "listener", in: &settings)
    }
    do throws(ConfigurationError) {
      try self.init(settings: settings, origin: "settings", hasSockets: settings["listeners"] != nil)
    } catch { throw BrokerError(starting: error) }
  }

  /// Sets what has a property of its own, which is not to be given twice.
  private static func set(
    _ key: String, _ value: String, _ property: String, in settings: inout [String: String]
  ) throws(BrokerError) {
    guard settings.updateValue(value, forKey: key) == nil else {
      throw BrokerError(.configuration, "'\(key)' is set by the property '\(property)': remove it from 'settings'.")
    }
  }
}
