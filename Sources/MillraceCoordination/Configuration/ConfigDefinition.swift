// What one configuration key is: its type, default, rule, importance, whether it may change at run time, and what it
// means. Every key that the broker knows has one; DescribeConfigs, AlterConfigs, CreateTopics and the properties file
// all read the same definitions, so a value is judged the same way wherever it came from.

package struct ConfigDefinition: Sendable {
  package let name: String
  package let type: ConfigType
  /// The text of the default, as DescribeConfigs answers it. `nil`: there is no value until somebody sets one.
  package let defaultText: String?
  package let rule: ConfigRule
  package let importance: ConfigImportance
  package let update: ConfigUpdate
  /// Keys that say the same thing, the strongest first. For a topic key these are the broker keys it falls back to;
  /// for a broker key the list begins with the key itself.
  package let synonyms: [ConfigSynonym]
  package let documentation: String

  package init(
    _ name: String, _ type: ConfigType, _ defaultText: String?, _ rule: ConfigRule = .any,
    _ importance: ConfigImportance, update: ConfigUpdate = .readOnly, synonyms: [ConfigSynonym] = [],
    _ documentation: String
  ) {
    self.name = name
    self.type = type
    self.defaultText = defaultText
    self.rule = rule
    self.importance = importance
    self.update = update
    self.synonyms = synonyms
    self.documentation = documentation
  }

  /// Reads and checks a value of this key.
  package func parse(_ text: String) throws(ConfigError) -> ConfigValue {
    guard let value = ConfigValue(text, as: type) else {
      throw ConfigError.invalid(name: name, value: shown(text), reason: "expected \(type.expectation)")
    }
    if let reason = rule.objection(to: value) {
      throw ConfigError.invalid(name: name, value: shown(text), reason: reason)
    }
    return value
  }

  /// A password is never repeated in an error or an answer.
  package var isSensitive: Bool { type == .password }

  private func shown(_ text: String) -> String { isSensitive ? "[hidden]" : text }
}

/// The codes are those of DescribeConfigs.
package enum ConfigType: Int8, Sendable {
  case boolean = 1
  case string = 2
  case int = 3
  case short = 4
  case long = 5
  case double = 6
  case list = 7
  case `class` = 8
  case password = 9

  var expectation: String {
    switch self {
    case .boolean: "true or false"
    case .string, .class, .password: "text"
    case .int: "a whole number of 32 bits"
    case .short: "a whole number of 16 bits"
    case .long: "a whole number of 64 bits"
    case .double: "a number"
    case .list: "values separated by commas"
    }
  }
}

package enum ConfigImportance: Sendable { case high, medium, low }

/// How a broker key may change while the broker runs. Topic keys always may.
package enum ConfigUpdate: Sendable, Equatable {
  /// Only by a restart.
  case readOnly
  /// By AlterConfigs for one broker, not for all of them.
  case perBroker
  /// By AlterConfigs for one broker or as the default of the cluster.
  case clusterWide
}

/// A key that another key falls back to, and how its value is converted.
package struct ConfigSynonym: Sendable, Equatable {
  package enum Conversion: Sendable { case none, hoursToMilliseconds, minutesToMilliseconds }

  package let name: String
  package let conversion: Conversion

  package init(_ name: String, _ conversion: Conversion = .none) {
    self.name = name
    self.conversion = conversion
  }

  /// The value in the unit of the key that falls back to this one; text that is no number is passed on unchanged, so
  /// that the error names what somebody wrote.
  package func converted(_ text: String) -> String {
    let factor: Int64
    switch conversion {
    case .none: return text
    case .hoursToMilliseconds: factor = 3_600_000
    case .minutesToMilliseconds: factor = 60_000
    }
    guard let number = Int64(text.trimmingConfigWhitespace()) else { return text }
    // A negative number of hours means "without end", which is -1 in milliseconds.
    if number < 0 { return "-1" }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? String(Int64.max) : String(product)
  }
}

extension String {
  /// The text without blanks at both ends (Kafka trims values of every type but plain strings inside a list item).
  package func trimmingConfigWhitespace() -> String {
    guard let first = utf8.first, let last = utf8.last else { return self }
    if first > 0x20 && last > 0x20 { return self }
    let blank: (Character) -> Bool = { $0.isWhitespace }
    guard let start = firstIndex(where: { !blank($0) }), let end = lastIndex(where: { !blank($0) }) else { return "" }
    return String(self[start...end])
  }
}
