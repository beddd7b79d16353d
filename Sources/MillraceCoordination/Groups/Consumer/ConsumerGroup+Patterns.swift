// Subscriptions by regular expression (KIP-848, heartbeat version 1). An expression counts from the moment that its
// topics are known; they are looked up again when topics have changed, and now and then.

import MillraceProtocol

extension ConsumerGroup {
  /// How often a group's expressions are looked up at most. Not configurable in Kafka either.
  private static let minRefreshIntervalMs: Int64 = 10_000

  enum PatternChange {
    case none
    case changed
    /// To one whose topics are known already.
    case changedAndResolved
  }

  /// The member's profile has been taken in.
  mutating func patternChanged(
    from old: String?, to new: String?, wasKnown: Bool, _ decision: inout GroupDecision
  ) -> PatternChange {
    guard old != new else { return .none }
    forgetPattern(old, &decision)
    guard let new, wasKnown, resolvedPatterns[new] != nil else { return .changed }
    return .changedAndResolved
  }

  /// Drops what is known of an expression that nobody subscribes to any more.
  mutating func forgetPattern(_ pattern: String?, _ decision: inout GroupDecision) {
    guard let pattern, index.patterns[pattern] == nil, resolvedPatterns[pattern] != nil else { return }
    journal(patternTombstone(pattern), &decision)
  }

  /// Asks for the topics of the expressions, when it is time to.
  mutating func refreshPatterns(
    _ image: TopicImage, _ now: Moment, _ config: ConsumerGroupConfig, _ decision: inout GroupDecision
  ) {
    guard !index.patterns.isEmpty, !patternRefresh.isUnderWay else { return }
    if let last = patternRefresh.lastUptimeMs {
      guard now.uptimeMs - last >= Self.minRefreshIntervalMs else { return }
      let isDue =
        index.patterns.count != resolvedPatterns.count || patternRefresh.lastVersion != image.version
        || now.uptimeMs - last >= config.patternRefreshIntervalMs
      guard isDue else { return }
    }
    patternRefresh.isUnderWay = true
    decision.patternQueries.append(PatternQuery(groupId: groupId, patterns: index.patterns.keys.sorted()))
  }

  mutating func patternsMatched(
    _ matches: PatternMatches, _ image: TopicImage, _ now: Moment, into decision: inout GroupDecision
  ) {
    patternRefresh = PatternRefresh(isUnderWay: false, lastUptimeMs: now.uptimeMs, lastVersion: matches.version)
    var hasChanged = false
    for (pattern, topics) in matches.topics.sorted(by: { $0.key < $1.key }) where index.patterns[pattern] != nil {
      // One that matches nothing was looked up too.
      if let known = resolvedPatterns[pattern], known.topics == topics { continue }
      if resolvedPatterns[pattern]?.topics ?? [] != topics { hasChanged = true }
      let resolved = ResolvedPattern(
        topics: topics, version: Int64(clamping: matches.version), timestampMs: now.wallMs)
      journal(resolved.record(groupId: groupId, pattern: pattern), &decision)
    }
    if hasChanged { bumpEpoch(ifChanged: false, because: "other topics match", image, &decision) }
  }
}
