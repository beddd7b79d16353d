// The broker configs: Kafka 4.2's for a broker that is its own controller, and ours. They are listed by area in the
// files beside this one. A key that Kafka knows and that has no effect here says so in its documentation, so that a
// properties file written for Kafka is read and a person who asks gets the truth.

package enum BrokerConfigs {
  package static let all: [ConfigDefinition] =
    (node + sockets + logs + cleaner + topics + replication + controller + groups + shareGroups + transactions + quotas
    + metrics).sorted { $0.name < $1.name }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  package static func definition(_ name: String) -> ConfigDefinition? { byName[name] }

  /// Why a key that Kafka has is refused here; `nil` for a key that is only unknown.
  package static func unsupportedReason(_ name: String) -> String? {
    unsupported.first { name == $0.key || ($0.key.hasSuffix(".") && name.hasPrefix($0.key)) }?.reason
  }

  private static let unsupported: [(key: String, reason: String)] = [
    ("ssl.", "this broker serves PLAINTEXT listeners only"),
    ("sasl.", "this broker serves PLAINTEXT listeners only"),
    ("listener.name.", "settings for one listener are for TLS and SASL, and this broker serves PLAINTEXT only"),
    ("security.providers", "this broker serves PLAINTEXT listeners only"),
    ("principal.builder.class", "this broker has no authentication"),
    ("connections.max.reauth.ms", "this broker has no authentication"),
    ("authorizer.class.name", "this broker has no authorizer"),
    ("super.users", "this broker has no authorizer"),
    ("allow.everyone.if.no.acl.found", "this broker has no authorizer"),
    ("early.start.listeners", "this broker has no authorizer"),
    ("delegation.token.", "this broker has no authentication"),
    ("password.encoder.", "passwords are not stored"),
    ("remote.log.", "this broker has no remote tier"),
    ("remote.fetch.", "this broker has no remote tier"),
    ("remote.list.", "this broker has no remote tier"),
    ("config.providers", "values are taken as they are written"),
    ("zookeeper.", "there is no ZooKeeper: a broker keeps its own metadata log, as Kafka does since 4.0"),
    ("inter.broker.protocol.version", "Kafka 4.0 has dropped it: see the feature metadata.version"),
    ("log.message.format.version", "Kafka 4.0 has dropped it: every batch has format v2"),
    ("group.streams.", "streams groups are not served"),
    ("create.topic.policy.class.name", "classes cannot be loaded"),
    ("alter.config.policy.class.name", "classes cannot be loaded"),
    ("client.quota.callback.class", "classes cannot be loaded"),
    ("replica.selector.class", "classes cannot be loaded"),
  ]

  /// A key that only a restart changes.
  static func fixed(
    _ name: String, _ type: ConfigType, _ defaultText: String?, _ rule: ConfigRule = .any,
    _ importance: ConfigImportance,
    _ documentation: String
  ) -> ConfigDefinition {
    ConfigDefinition(
      name, type, defaultText, rule, importance, synonyms: [ConfigSynonym(name)], documentation)
  }

  /// A key that AlterConfigs may change while the broker runs.
  static func dynamic(
    _ name: String, _ type: ConfigType, _ defaultText: String?, _ rule: ConfigRule = .any,
    _ importance: ConfigImportance,
    weaker: [ConfigSynonym] = [], _ documentation: String
  ) -> ConfigDefinition {
    ConfigDefinition(
      name, type, defaultText, rule, importance, update: .clusterWide, synonyms: [ConfigSynonym(name)] + weaker,
      documentation)
  }
}
