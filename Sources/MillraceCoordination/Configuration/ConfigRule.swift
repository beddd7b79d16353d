// What a value must be beyond its type. A rule answers with a reason, in words that complete "Invalid value … for
// configuration …:", or with nothing.

package enum ConfigRule: Sendable {
  case any
  case atLeast(Int64)
  case between(Int64, Int64)
  case fraction
  /// gzip: 1 to 9, or -1 for the library's own choice.
  case betweenOr(Int64, Int64, Int64)
  case oneOf([String])
  case oneOfIgnoringCase([String])
  /// Items of this set only, each at most once.
  case subset(of: [String], emptyAllowed: Bool)
  /// Any items, each at most once.
  case distinct(emptyAllowed: Bool)
  /// `*` or partition:broker pairs (KIP-73).
  case throttledReplicas
  /// A text with a grammar of its own.
  case grammar(@Sendable (String) -> String?)
  /// The key exists in Kafka, but the feature behind it does not exist here.
  case only(String, because: String)

  func objection(to value: ConfigValue) -> String? {
    switch (self, value) {
    case (.any, _): return nil
    case (.atLeast(let minimum), .integer(let number)):
      return number < minimum ? "value must be at least \(minimum)" : nil
    case (.between(let low, let high), .integer(let number)):
      return number < low || number > high ? "value must be between \(low) and \(high)" : nil
    case (.betweenOr(let low, let high, let other), .integer(let number)):
      let fits = (low...high).contains(number) || number == other
      return fits ? nil : "value must be between \(low) and \(high), or \(other)"
    case (.fraction, .double(let number)):
      return number < 0 || number > 1 ? "value must be between 0 and 1" : nil
    case (.oneOf(let allowed), .text(let text)):
      return allowed.contains(text) ? nil : "value must be one of \(allowed.joined(separator: ", "))"
    case (.oneOfIgnoringCase(let allowed), .text(let text)):
      return allowed.contains(text.lowercased()) ? nil : "value must be one of \(allowed.joined(separator: ", "))"
    case (.subset(let allowed, let emptyAllowed), .list(let items)):
      if let reason = objection(toList: items, emptyAllowed: emptyAllowed) { return reason }
      guard let stranger = items.first(where: { !allowed.contains($0) }) else { return nil }
      return "'\(stranger)' is not one of \(allowed.joined(separator: ", "))"
    case (.distinct(let emptyAllowed), .list(let items)):
      return objection(toList: items, emptyAllowed: emptyAllowed)
    case (.throttledReplicas, .list(let items)):
      if items.isEmpty || items == ["*"] || items.allSatisfy(Self.isThrottledReplica) { return nil }
      return "value must be * or a list like partition:broker,partition:broker"
    case (.grammar(let objection), .text(let text)): return objection(text)
    case (.only(let allowed, let reason), .boolean(let flag)):
      return String(flag) == allowed ? nil : reason
    case (.only(let allowed, let reason), .text(let text)):
      return text == allowed ? nil : reason
    default:
      return "value does not fit the rule of this key"
    }
  }

  private func objection(toList items: [String], emptyAllowed: Bool) -> String? {
    if items.isEmpty { return emptyAllowed ? nil : "at least one value is needed" }
    if items.contains("") { return "an item of the list is empty" }
    return Set(items).count == items.count ? nil : "an item of the list is there twice"
  }

  private static func isThrottledReplica(_ item: String) -> Bool {
    let parts = item.split(separator: ":", omittingEmptySubsequences: false)
    return parts.count == 2
      && parts.allSatisfy { part in !part.isEmpty && part.utf8.allSatisfy { (48...57).contains($0) } }
  }
}
