// A configuration value after parsing.

package enum ConfigValue: Sendable, Equatable {
  case boolean(Bool)
  /// string, class and password
  case text(String)
  /// int, short and long; the range of the type was checked.
  case integer(Int64)
  case double(Double)
  case list([String])

  /// `nil` if the text is not of that type. Follows Kafka: blanks at the ends do not count, booleans ignore case, an
  /// empty list is the empty text.
  package init?(_ text: String, as type: ConfigType) {
    let trimmed = text.trimmingConfigWhitespace()
    switch type {
    case .boolean:
      switch trimmed.lowercased() {
      case "true": self = .boolean(true)
      case "false": self = .boolean(false)
      default: return nil
      }
    case .string, .class: self = .text(trimmed)
    case .password: self = .text(text)
    case .short:
      guard let number = Int16(trimmed) else { return nil }
      self = .integer(Int64(number))
    case .int:
      guard let number = Int32(trimmed) else { return nil }
      self = .integer(Int64(number))
    case .long:
      guard let number = Int64(trimmed) else { return nil }
      self = .integer(number)
    case .double:
      guard let number = Double(trimmed), number.isFinite else { return nil }
      self = .double(number)
    case .list:
      guard !trimmed.isEmpty else {
        self = .list([])
        return
      }
      self = .list(
        trimmed.split(separator: ",", omittingEmptySubsequences: false)
          .map { String($0).trimmingConfigWhitespace() })
    }
  }
}
