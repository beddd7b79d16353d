// The option syntax of Kafka's command-line tools, which is not that of the rest of this program: `--name value` and
// `--name=value`, options whose value may be left out, options given several times, unambiguous abbreviations.

/// One option of a tool.
struct ToolOption: Sendable {
  enum Argument: Sendable {
    case none
    case required(String)
    /// May be left out: `--state` or `--state stable`.
    case optional(String)
    /// One or more, up to the next option: `--producer-props a=1 b=2`.
    case list(String)
  }

  /// The name without dashes; the first is the one that the help shows.
  let names: [String]
  let argument: Argument
  let help: String
  /// Accepted, and without effect here; the help says so.
  let isIgnored: Bool

  init(_ names: String..., argument: Argument = .none, isIgnored: Bool = false, help: String) {
    (self.names, self.argument, self.isIgnored, self.help) = (names, argument, isIgnored, help)
  }
}

/// The command line was wrong; the message says how.
struct ToolUsageFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// A tool and its options.
struct ToolDefinition: Sendable {
  let name: String
  let purpose: String
  let options: [ToolOption]
  /// What stands behind the options, if anything may.
  var operands: String?

  func parse(_ arguments: [String]) throws(ToolUsageFailure) -> ToolArguments {
    var parsed = ToolArguments()
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("-"), argument != "-" else {
        guard operands != nil else { throw ToolUsageFailure("'\(argument)' belongs to no option") }
        parsed.operands.append(argument)
        continue
      }
      if argument == "--" {
        parsed.operands += rest
        break
      }
      let body = argument.drop { $0 == "-" }
      let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let option = try find(parts[0], written: argument)
      let attached = parts.count == 2 ? parts[1] : nil
      let isValue = { (next: String) in !next.hasPrefix("-") || Double(next) != nil || next == "-" }
      switch option.argument {
      case .none:
        guard attached == nil else { throw ToolUsageFailure("Option --\(option.names[0]) takes no value") }
        parsed.add(option, nil)
      case .required(let valueName):
        guard let value = attached ?? rest.popFirst() else {
          throw ToolUsageFailure("Option --\(option.names[0]) requires an argument: \(valueName)")
        }
        parsed.add(option, value)
      case .optional:
        parsed.add(option, attached ?? (rest.first.map(isValue) == true ? rest.popFirst() : nil))
      case .list(let valueName):
        var values = attached.map { [$0] } ?? []
        while let next = rest.first, isValue(next) {
          values.append(next)
          rest.removeFirst()
        }
        guard !values.isEmpty else {
          throw ToolUsageFailure("Option --\(option.names[0]) requires an argument: \(valueName)")
        }
        for value in values { parsed.add(option, value) }
      }
    }
    return parsed
  }

  private func find(_ name: String, written: String) throws(ToolUsageFailure) -> ToolOption {
    if let option = options.first(where: { $0.names.contains(name) }) { return option }
    let candidates = options.filter { option in name.count > 1 && option.names.contains { $0.hasPrefix(name) } }
    if candidates.count == 1 { return candidates[0] }
    let hint =
      candidates.isEmpty ? "" : "; it could be \(candidates.map { "--\($0.names[0])" }.joined(separator: ", "))"
    throw ToolUsageFailure("\(written) is not a recognized option\(hint)")
  }

  /// The help: purpose, and a table of the options.
  var usage: String {
    var lines = [purpose, "", "Usage: \(name) [options]\(operands.map { " \($0)" } ?? "")", ""]
    for option in options.sorted(by: { $0.names[0] < $1.names[0] }) {
      var heading = option.names.map { $0.count == 1 ? "-\($0)" : "--\($0)" }.joined(separator: ", ")
      switch option.argument {
      case .none: break
      case .required(let value): heading += " <\(value)>"
      case .optional(let value): heading += " [\(value)]"
      case .list(let value): heading += " <\(value)> ..."
      }
      lines.append("  " + heading)
      lines.append("      " + option.help + (option.isIgnored ? " Accepted and without effect." : ""))
    }
    return lines.joined(separator: "\n")
  }
}

/// What was given on a tool's command line. Options are looked up by their first name.
struct ToolArguments: Sendable {
  private var given: [String: [String]] = [:]
  private var namesUsed: Set<String> = []
  var operands: [String] = []

  fileprivate mutating func add(_ option: ToolOption, _ value: String?) {
    namesUsed.insert(option.names[0])
    if let value { given[option.names[0], default: []].append(value) }
  }

  func has(_ name: String) -> Bool { namesUsed.contains(name) }
  func values(_ name: String) -> [String] { given[name] ?? [] }
  /// The last one counts.
  func value(_ name: String) -> String? { given[name]?.last }

  func required(_ name: String) throws(ToolUsageFailure) -> String {
    guard let value = value(name) else { throw ToolUsageFailure("Missing required argument \"[\(name)]\"") }
    return value
  }

  func integer<Value: FixedWidthInteger>(_ name: String, as type: Value.Type = Value.self) throws(ToolUsageFailure)
    -> Value?
  {
    guard let text = value(name) else { return nil }
    guard let number = Value(text) else {
      throw ToolUsageFailure("Cannot parse argument '\(text)' of option \(name): not a number in range")
    }
    return number
  }

  /// Exactly one of `names` must be there.
  func oneOf(_ names: String...) throws(ToolUsageFailure) -> String {
    let present = names.filter(has)
    guard present.count == 1 else {
      throw ToolUsageFailure(
        "Command must include exactly one action: \(names.map { "--\($0)" }.joined(separator: ", "))")
    }
    return present[0]
  }

  func exclude(_ name: String, with others: String...) throws(ToolUsageFailure) {
    guard has(name) else { return }
    for other in others where has(other) {
      throw ToolUsageFailure("Option \"[\(name)]\" can't be used with option \"[\(other)]\"")
    }
  }
}

extension ToolOption {
  static let bootstrapServer = ToolOption(
    "bootstrap-server", "broker-list", argument: .required("server to connect to"),
    help: "REQUIRED: host:port of brokers, separated by commas.")
  static let commandConfig = ToolOption(
    "command-config", argument: .required("file"), help: "A properties file with the client's configuration.")
  static let timeout = ToolOption("timeout", argument: .required("ms"), help: "How long to wait for an answer.")
}
