import Testing

@testable import MillraceCoordination

@Suite struct ShareGroupConfigTests {
  private func objection(_ overrides: [String: String], _ resolver: ConfigResolver = .init()) -> String? {
    for (name, text) in overrides {
      guard let definition = GroupConfigs.definition(name) else { return "unknown \(name)" }
      do throws(ConfigError) { _ = try definition.parse(text) } catch { return error.message }
    }
    return resolver.objection(toGroupConfigs: overrides)?.message
  }

  @Test func `a group without configs of its own has what the broker says, and that is Kafka's default`() {
    #expect(ConfigResolver().shareGroup(overrides: [:]) == ShareGroupConfig())
    let resolver = ConfigResolver(started: [
      "group.share.session.timeout.ms": "50000", "group.share.delivery.count.limit": "7", "group.share.max.size": "9",
    ])
    let config = resolver.shareGroup(overrides: [:])
    #expect(config.sessionTimeoutMs == 50_000)
    #expect(config.policy.deliveryCountLimit == 7)
    #expect(config.maxSize == 9)
  }

  @Test func `what a group says itself counts for it`() {
    let config = ConfigResolver(started: ["group.share.record.lock.duration.ms": "20000"]).shareGroup(overrides: [
      "share.record.lock.duration.ms": "40000", "share.delivery.count.limit": "2",
      "share.partition.max.record.locks": "10000", "share.auto.offset.reset": "by_duration:PT1H",
      "share.isolation.level": "read_committed", "share.renew.acknowledge.enable": "false",
      "errors.deadletterqueue.topic.name": "dlq.orders", "errors.deadletterqueue.copy.record.enable": "false",
      "millrace.share.retry.backoff.ms": "200", "millrace.share.retry.backoff.max.ms": "5000",
    ])
    #expect(config.policy.recordLockDurationMs == 40_000)
    #expect(config.policy.deliveryCountLimit == 2)
    #expect(config.policy.maxRecordLocks == 10_000)
    #expect(config.autoOffsetReset == .byDuration(3_600_000))
    #expect(config.isolationLevel == .readCommitted)
    #expect(!config.allowsRenewal)
    #expect(config.deadLetterTopic == "dlq.orders")
    #expect(config.policy.hasDeadLetters)
    #expect(!config.copiesRecordIntoDeadLetter)
    #expect(config.policy.retryBackoffMs == 200)
    #expect(config.policy.retryBackoffMaxMs == 5_000)
  }

  @Test(arguments: [
    ("earliest", ShareOffsetReset.earliest), ("latest", .latest), ("by_duration:P1D", .byDuration(86_400_000)),
    ("by_duration:PT1H30M", .byDuration(5_400_000)), ("by_duration:P1DT2H3M4.5S", .byDuration(93_784_500)),
    ("by_duration:pt0.0019s", .byDuration(1)), ("by_duration:PT1H-30M", .byDuration(1_800_000)),
    ("by_duration:-PT-2S", .byDuration(2_000)),
  ])
  func `a reset is read as Kafka reads it`(text: String, reset: ShareOffsetReset) {
    #expect(ShareOffsetReset(text) == reset)
  }

  @Test(arguments: [
    "", "none", "Earliest", "by_duration", "by_duration:", "by_duration:P", "by_duration:PT", "by_duration:P1DT",
    "by_duration:PT1D", "by_duration:P1H", "by_duration:PT1M1H", "by_duration:PT1.5H", "by_duration:PT-1S",
    "by_duration:PT1.0123456789S", "by_duration:P99999999999999999D", "by_duration:1D", "by_duration:PT1S1S",
    "by_duration:P1DT1HT1M",
  ])
  func `a reset that says nothing is refused`(text: String) {
    #expect(ShareOffsetReset(text) == nil)
    #expect(objection(["share.auto.offset.reset": text]) != nil)
  }

  @Test(arguments: [
    ("share.session.timeout.ms", "44999"), ("share.session.timeout.ms", "60001"),
    ("share.heartbeat.interval.ms", "4999"), ("share.heartbeat.interval.ms", "15001"),
    ("share.record.lock.duration.ms", "14999"), ("share.record.lock.duration.ms", "60001"),
    ("share.delivery.count.limit", "1"), ("share.delivery.count.limit", "11"),
    ("share.partition.max.record.locks", "99"), ("share.isolation.level", "serializable"),
    ("millrace.share.retry.backoff.ms", "-1"), ("errors.deadletterqueue.topic.name", "orders"),
    ("errors.deadletterqueue.topic.name", "__consumer_offsets"), ("errors.deadletterqueue.topic.name", "dlq.a/b"),
  ])
  func `a value outside of the bounds is refused`(name: String, text: String) {
    #expect(objection([name: text])?.contains(name) == true)
  }

  @Test func `the broker's bounds can be moved, and so can the prefix of dead-letter topics`() {
    let resolver = ConfigResolver(
      started: ["group.share.min.record.lock.duration.ms": "1000"],
      cluster: ["errors.deadletterqueue.topic.name.prefix": ""])
    #expect(objection(["share.record.lock.duration.ms": "1000"], resolver) == nil)
    #expect(objection(["errors.deadletterqueue.topic.name": "orders"], resolver) == nil)
    #expect(resolver.deadLetterTopicPrefix.isEmpty)
    #expect(ConfigResolver().deadLetterTopicPrefix == "dlq.")
    #expect(ConfigResolver().createsMissingDeadLetterTopics)
  }

  @Test func `a session has to outlast the interval between heartbeats`() {
    let resolver = ConfigResolver(started: [
      "group.share.min.session.timeout.ms": "1", "group.share.max.heartbeat.interval.ms": "50000",
    ])
    #expect(
      objection(["share.session.timeout.ms": "9000", "share.heartbeat.interval.ms": "9000"], resolver)
        == "share.session.timeout.ms must be greater than share.heartbeat.interval.ms")
  }
}
