// The configs of single groups (KIP-848): resource type GROUP of the configs APIs. What a group does not say it takes
// from the broker config of nearly the same name.

package enum GroupConfigs {
  package static let all: [ConfigDefinition] = consumer.sorted { $0.name < $1.name }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  package static func definition(_ name: String) -> ConfigDefinition? { byName[name] }

  static let sessionTimeout = "consumer.session.timeout.ms"
  static let heartbeatInterval = "consumer.heartbeat.interval.ms"

  private static let consumer: [ConfigDefinition] = [
    ConfigDefinition(
      sessionTimeout, .int, "45000", .atLeast(1), .medium,
      synonyms: [ConfigSynonym("group.consumer.session.timeout.ms")],
      "How long a member of a group of the consumer protocol may be silent."),
    ConfigDefinition(
      heartbeatInterval, .int, "5000", .atLeast(1), .medium,
      synonyms: [ConfigSynonym("group.consumer.heartbeat.interval.ms")],
      "How often a member of a group of the consumer protocol is asked to say that it is there."),
  ]
}

extension ConfigResolver {
  /// A group config with what it falls back to.
  package func group(_ definition: ConfigDefinition, overrides: [String: String]) -> EffectiveConfig {
    var candidates = broker(definition).candidates
    if let own = overrides[definition.name] {
      candidates.insert(.init(name: definition.name, value: own, source: .group, conversion: .none), at: 0)
    }
    return EffectiveConfig(definition, candidates)
  }

  /// The time-outs of a group with these configs of its own.
  package func consumerTimeouts(overrides: [String: String]) -> ConsumerGroupConfig.Timeouts {
    func milliseconds(_ name: String) -> Int32 {
      guard let definition = GroupConfigs.definition(name),
        case .integer(let number) = group(definition, overrides: overrides).value
      else { preconditionFailure("\(name) has no number") }
      return Int32(clamping: number)
    }
    return .init(
      sessionTimeoutMs: milliseconds(GroupConfigs.sessionTimeout),
      heartbeatIntervalMs: milliseconds(GroupConfigs.heartbeatInterval))
  }

  /// What is wrong with these configs of a group: they have to be within the broker's bounds, and to each other.
  func objection(toGroupConfigs overrides: [String: String]) -> ConfigError? {
    let timeouts = consumerTimeouts(overrides: overrides)
    let bounded = [
      (GroupConfigs.sessionTimeout, timeouts.sessionTimeoutMs, "session.timeout.ms"),
      (GroupConfigs.heartbeatInterval, timeouts.heartbeatIntervalMs, "heartbeat.interval.ms"),
    ]
    for (name, value, key) in bounded where overrides[name] != nil {
      let (least, most) = ("group.consumer.min.\(key)", "group.consumer.max.\(key)")
      if Int64(value) < brokerInteger(least) {
        return .conflict("\(name) must be greater than or equal to \(least)")
      }
      if Int64(value) > brokerInteger(most) { return .conflict("\(name) must be less than or equal to \(most)") }
    }
    return timeouts.sessionTimeoutMs <= timeouts.heartbeatIntervalMs
      ? .conflict("\(GroupConfigs.sessionTimeout) must be greater than \(GroupConfigs.heartbeatInterval)") : nil
  }

  private func brokerInteger(_ name: String) -> Int64 {
    guard let definition = BrokerConfigs.definition(name), case .integer(let number) = broker(definition).value else {
      preconditionFailure("\(name) has no number")
    }
    return number
  }
}
