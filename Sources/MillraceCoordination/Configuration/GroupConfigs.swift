// The configs of single groups (KIP-848): resource type GROUP of the configs APIs. What a group does not say it takes
// from the broker config of nearly the same name.

package enum GroupConfigs {
  package static let all: [ConfigDefinition] = (consumer + share).sorted { $0.name < $1.name }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  package static func definition(_ name: String) -> ConfigDefinition? { byName[name] }

  static let sessionTimeout = "consumer.session.timeout.ms"
  static let heartbeatInterval = "consumer.heartbeat.interval.ms"

  /// Keys that have bounds in the broker configs: `group.…min.…` and `group.…max.…`.
  static let bounded = [
    sessionTimeout, heartbeatInterval, shareSessionTimeout, shareHeartbeatInterval, shareRecordLockDuration,
  ]

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
    return .init(
      sessionTimeoutMs: Int32(clamping: integer(of: GroupConfigs.sessionTimeout, overrides)),
      heartbeatIntervalMs: Int32(clamping: integer(of: GroupConfigs.heartbeatInterval, overrides)))
  }

  /// What is wrong with these configs of a group: they have to be within the broker's bounds, and to each other.
  func objection(toGroupConfigs overrides: [String: String]) -> ConfigError? {
    for name in GroupConfigs.bounded {
      guard let value = overrides[name].flatMap({ Int64($0.trimmingConfigWhitespace()) }) else { continue }
      let bound = name.split(separator: ".", maxSplits: 1)
      let (least, most) = ("group.\(bound[0]).min.\(bound[1])", "group.\(bound[0]).max.\(bound[1])")
      if value < integer(BrokerConfigs.definition(least)) {
        return .conflict("\(name) must be greater than or equal to \(least)")
      }
      if value > integer(BrokerConfigs.definition(most)) {
        return .conflict("\(name) must be less than or equal to \(most)")
      }
    }
    let pairs = [
      (GroupConfigs.sessionTimeout, GroupConfigs.heartbeatInterval),
      (GroupConfigs.shareSessionTimeout, GroupConfigs.shareHeartbeatInterval),
    ]
    for (session, heartbeat) in pairs
    where integer(of: session, overrides) <= integer(of: heartbeat, overrides) {
      return .conflict("\(session) must be greater than \(heartbeat)")
    }
    return objection(toDeadLetterTopic: overrides[GroupConfigs.deadLetterTopic]?.trimmingConfigWhitespace() ?? "")
  }

  func integer(of name: String, _ overrides: [String: String]) -> Int64 {
    guard case .integer(let number) = value(of: name, overrides) else { preconditionFailure("\(name) has no number") }
    return number
  }

  /// The value of a group config in force.
  func value(of name: String, _ overrides: [String: String]) -> ConfigValue? {
    guard let definition = GroupConfigs.definition(name) else { preconditionFailure("no definition of '\(name)'") }
    return group(definition, overrides: overrides).value
  }

  func integer(_ definition: ConfigDefinition?) -> Int64 {
    guard let definition, case .integer(let number) = broker(definition).value else {
      preconditionFailure("a broker config has no number")
    }
    return number
  }
}
