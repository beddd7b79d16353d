// Which value counts, and who said so. Layers, the strongest first: the topic's own setting, the dynamic setting of
// this broker, the dynamic default of all brokers, what the broker was started with, the default of the definition
// (KIP-226). Within one layer a key is stronger than the keys it falls back to.

package struct ConfigResolver: Sendable, Equatable {
  /// From the properties file, flags and environment variables.
  package var started: [String: String]
  /// AlterConfigs with this broker's id as the resource.
  package var broker: [String: String]
  /// AlterConfigs with the empty resource name: the default of all brokers.
  package var cluster: [String: String]

  package init(started: [String: String] = [:], broker: [String: String] = [:], cluster: [String: String] = [:]) {
    self.started = started
    self.broker = broker
    self.cluster = cluster
  }

  /// A topic config with what it falls back to.
  package func topic(_ definition: ConfigDefinition, overrides: [String: String]) -> EffectiveConfig {
    var candidates: [EffectiveConfig.Candidate] = []
    if let own = overrides[definition.name] {
      candidates.append(.init(name: definition.name, value: own, source: .topic, conversion: .none))
    }
    candidates += brokerCandidates(definition.synonyms)
    return EffectiveConfig(definition, candidates)
  }

  /// A broker config as this broker has it.
  package func broker(_ definition: ConfigDefinition) -> EffectiveConfig {
    EffectiveConfig(definition, brokerCandidates(definition.synonyms))
  }

  /// A broker config as the dynamic default of all brokers; `nil` if none is set.
  package func clusterDefault(_ definition: ConfigDefinition) -> EffectiveConfig? {
    guard let value = cluster[definition.name] else { return nil }
    return EffectiveConfig(
      definition, [.init(name: definition.name, value: value, source: .dynamicDefaultBroker, conversion: .none)])
  }

  private func brokerCandidates(_ synonyms: [ConfigSynonym]) -> [EffectiveConfig.Candidate] {
    var found: [EffectiveConfig.Candidate] = []
    func add(_ layer: [String: String], _ source: ConfigSource) {
      if layer.isEmpty { return }
      for synonym in synonyms {
        guard let value = layer[synonym.name] else { continue }
        found.append(.init(name: synonym.name, value: value, source: source, conversion: synonym.conversion))
      }
    }
    add(broker, .dynamicBroker)
    add(cluster, .dynamicDefaultBroker)
    add(started, .staticBroker)
    for synonym in synonyms {
      guard let value = BrokerConfigs.definition(synonym.name)?.defaultText else { continue }
      found.append(.init(name: synonym.name, value: value, source: .default, conversion: synonym.conversion))
    }
    return found
  }
}

/// The codes are those of DescribeConfigs.
package enum ConfigSource: Int8, Sendable {
  case topic = 1
  case dynamicBroker = 2
  case dynamicDefaultBroker = 3
  case staticBroker = 4
  case `default` = 5
  case dynamicBrokerLogger = 6
  case clientMetrics = 7
  case group = 8
}

/// A value, its source, and every other value that would count if the stronger ones were not there.
package struct EffectiveConfig: Sendable {
  package struct Candidate: Sendable, Equatable {
    package let name: String
    /// As it was written, in the unit of `name`.
    package let value: String
    package let source: ConfigSource
    package let conversion: ConfigSynonym.Conversion
  }

  package let definition: ConfigDefinition
  package let candidates: [Candidate]

  init(_ definition: ConfigDefinition, _ candidates: [Candidate]) {
    self.definition = definition
    self.candidates = candidates
  }

  /// In the unit of the definition. `nil`: not set, and there is no default.
  package var text: String? {
    guard let first = candidates.first else { return definition.defaultText }
    return ConfigSynonym(first.name, first.conversion).converted(first.value)
  }

  package var source: ConfigSource { candidates.first?.source ?? .default }

  /// The typed value. A stored value that does not parse (it was journaled by another version) counts as not set.
  package var value: ConfigValue? {
    if let text, let value = try? definition.parse(text) { return value }
    return definition.defaultText.flatMap { try? definition.parse($0) }
  }
}
