// The configs of share groups (KIP-932), of their dead letters (KIP-1191) and, which is ours, of delayed retry.

extension GroupConfigs {
  static let shareSessionTimeout = "share.session.timeout.ms"
  static let shareHeartbeatInterval = "share.heartbeat.interval.ms"
  static let shareRecordLockDuration = "share.record.lock.duration.ms"
  static let deadLetterTopic = "errors.deadletterqueue.topic.name"
  fileprivate static let deliveryCountLimit = "share.delivery.count.limit"
  fileprivate static let maxRecordLocks = "share.partition.max.record.locks"
  fileprivate static let autoOffsetReset = "share.auto.offset.reset"
  fileprivate static let isolationLevel = "share.isolation.level"
  fileprivate static let allowsRenewal = "share.renew.acknowledge.enable"
  fileprivate static let copiesRecord = "errors.deadletterqueue.copy.record.enable"
  fileprivate static let retryBackoff = "millrace.share.retry.backoff.ms"
  fileprivate static let retryBackoffMax = "millrace.share.retry.backoff.max.ms"

  /// A week.
  private static let longestBackoffMs: Int64 = 7 * 24 * 60 * 60_000

  static let share: [ConfigDefinition] = [
    fallingBack(
      shareSessionTimeout, .int, "45000", .atLeast(1), "How long a member of a share group may be silent."),
    fallingBack(
      shareHeartbeatInterval, .int, "5000", .atLeast(1),
      "How often a member of a share group is asked to say that it is there."),
    fallingBack(
      shareRecordLockDuration, .int, "30000", .atLeast(1000),
      "How long a record stays with the member that acquired it."),
    fallingBack(
      deliveryCountLimit, .int, "5", .between(2, 10), "How often a record is delivered before it is given up."),
    fallingBack(
      maxRecordLocks, .int, "2000", .between(100, 10_000),
      "How many records of a partition may be locked at the same time."),
    own(
      autoOffsetReset, .string, "latest",
      .grammar { text in
        ShareOffsetReset(text) == nil
          ? "value must be earliest, latest or by_duration: followed by a duration like P1DT2H30M" : nil
      },
      """
      Where the group begins with a partition that it has not consumed yet: earliest, latest, or so long ago \
      (by_duration:PnDTnHnMn.nS).
      """),
    own(
      isolationLevel, .string, "read_uncommitted", .oneOf(["read_committed", "read_uncommitted"]),
      "Whether records of transactions are delivered only once they are committed."),
    own(
      allowsRenewal, .boolean, "true", .any, "Whether a member may prolong its lock of a record (KIP-1222)."),
    own(
      deadLetterTopic, .string, "", .grammar(objection(toDeadLetterTopic:)),
      "The topic for records that are given up; empty for none (KIP-1191)."),
    own(
      copiesRecord, .boolean, "true", .any,
      "Whether a dead letter carries the record, or only says where it is. Kafka's default is false."),
    own(
      retryBackoff, .long, "0", .between(0, longestBackoffMs),
      "How long a record waits after a first delivery that failed; each further one doubles it. 0: not at all."),
    own(
      retryBackoffMax, .long, "60000", .between(0, longestBackoffMs),
      "What the wait between two deliveries of a record grows to at most."),
  ]

  private static func fallingBack(
    _ name: String, _ type: ConfigType, _ defaultText: String, _ rule: ConfigRule, _ documentation: String
  ) -> ConfigDefinition {
    ConfigDefinition(
      name, type, defaultText, rule, .medium, synonyms: [ConfigSynonym("group.\(name)")], documentation)
  }

  private static func own(
    _ name: String, _ type: ConfigType, _ defaultText: String, _ rule: ConfigRule, _ documentation: String
  ) -> ConfigDefinition {
    ConfigDefinition(name, type, defaultText, rule, .medium, documentation)
  }

  private static func objection(toDeadLetterTopic name: String) -> String? {
    if name.isEmpty { return nil }
    if name.hasPrefix("__") { return "a topic whose name begins with __ is not for dead letters" }
    return TopicName.objection(to: name) == nil ? nil : "this cannot be the name of a topic"
  }
}

extension ConfigResolver {
  static let deadLetterPrefix = "errors.deadletterqueue.topic.name.prefix"
  static let createsDeadLetterTopics = "errors.deadletterqueue.auto.create.topics.enable"

  /// The share group with these configs of its own.
  package func shareGroup(overrides: [String: String]) -> ShareGroupConfig {
    func integer(_ name: String) -> Int64 { self.integer(of: name, overrides) }
    func text(_ name: String) -> String {
      guard case .text(let text) = value(of: name, overrides) else { return "" }
      return text
    }
    func boolean(_ name: String) -> Bool { value(of: name, overrides) == .boolean(true) }
    var config = ShareGroupConfig()
    config.sessionTimeoutMs = Int32(clamping: integer(GroupConfigs.shareSessionTimeout))
    config.heartbeatIntervalMs = Int32(clamping: integer(GroupConfigs.shareHeartbeatInterval))
    config.maxSize = Int32(clamping: self.integer(BrokerConfigs.definition("group.share.max.size")))
    config.initializeRetryIntervalMs = self.integer(
      BrokerConfigs.definition("group.share.initialize.retry.interval.ms"))
    config.policy.deliveryCountLimit = Int16(clamping: integer(GroupConfigs.deliveryCountLimit))
    config.policy.recordLockDurationMs = integer(GroupConfigs.shareRecordLockDuration)
    config.policy.maxRecordLocks = Int(integer(GroupConfigs.maxRecordLocks))
    config.policy.retryBackoffMs = integer(GroupConfigs.retryBackoff)
    config.policy.retryBackoffMaxMs = integer(GroupConfigs.retryBackoffMax)
    config.autoOffsetReset = ShareOffsetReset(text(GroupConfigs.autoOffsetReset)) ?? .latest
    config.isolationLevel =
      ShareGroupConfig.IsolationLevel(rawValue: text(GroupConfigs.isolationLevel)) ?? .readUncommitted
    config.allowsRenewal = boolean(GroupConfigs.allowsRenewal)
    config.copiesRecordIntoDeadLetter = boolean(GroupConfigs.copiesRecord)
    let topic = text(GroupConfigs.deadLetterTopic)
    config.deadLetterTopic = topic.isEmpty ? nil : topic
    config.policy.hasDeadLetters = !topic.isEmpty
    return config
  }

  /// What the names of dead-letter topics begin with.
  package var deadLetterTopicPrefix: String {
    guard let definition = BrokerConfigs.definition(Self.deadLetterPrefix),
      case .text(let prefix) = broker(definition).value
    else { return "" }
    return prefix
  }

  /// A dead-letter topic that is missing is made.
  package var createsMissingDeadLetterTopics: Bool {
    BrokerConfigs.definition(Self.createsDeadLetterTopics).map { broker($0).value == .boolean(true) } ?? false
  }

  func objection(toDeadLetterTopic name: String) -> ConfigError? {
    let prefix = deadLetterTopicPrefix
    guard !name.isEmpty, !name.hasPrefix(prefix) else { return nil }
    return .conflict("\(GroupConfigs.deadLetterTopic) must begin with '\(prefix)' (\(Self.deadLetterPrefix))")
  }
}
