// Turns entries into typed values and remembers what was wrong, so that all problems are reported at once.

import MillraceCoordination

struct ConfigurationReader {
  /// The last entry of a key counts: the caller puts files before environment variables before flags.
  private let entries: [String: ConfigEntry]
  private let resolver: ConfigResolver
  private(set) var problems: [String] = []

  init(_ list: [ConfigEntry]) {
    let entries = Dictionary(list.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
    self.entries = entries
    resolver = ConfigResolver(started: entries.mapValues(\.value))
    for entry in entries.values.sorted(by: { ($0.origin, $0.name) < ($1.origin, $1.name) }) { check(entry) }
  }

  var started: [String: String] { resolver.started }

  func isSet(_ name: String) -> Bool { entries[name] != nil }

  /// Notes a problem with a key's value, or with its default.
  mutating func reject(_ name: String, _ problem: String) {
    problems.append("\(entries[name].map { "\($0.origin): " } ?? "")\(problem)")
  }

  private mutating func check(_ entry: ConfigEntry) {
    guard let definition = BrokerConfigs.definition(entry.name) else {
      if let reason = BrokerConfigs.unsupportedReason(entry.name) {
        return reject(entry.name, "'\(entry.name)' is not supported: \(reason). Remove it.")
      }
      return reject(entry.name, "There is no configuration '\(entry.name)'.\(suggestion(for: entry.name))")
    }
    do throws(ConfigError) { _ = try definition.parse(entry.value) } catch { reject(entry.name, error.message) }
  }

  private func suggestion(for name: String) -> String {
    let distances = BrokerConfigs.all.map { ($0.name, editDistance($0.name, name)) }
    guard let nearest = distances.min(by: { $0.1 < $1.1 }), nearest.1 <= 3 else { return " Remove it." }
    return " Did you mean '\(nearest.0)'?"
  }

  // MARK: Typed values. A name that has no definition, or another type, is a mistake of ours.

  func integer(_ name: String) -> Int {
    guard case .integer(let number) = value(name) else { preconditionFailure("'\(name)' has no number") }
    return Int(number)
  }

  func optionalInteger(_ name: String) -> Int? {
    guard case .integer(let number) = value(name) else { return nil }
    return Int(number)
  }

  func int32(_ name: String) -> Int32 { Int32(clamping: integer(name)) }

  func boolean(_ name: String) -> Bool {
    guard case .boolean(let flag) = value(name) else { preconditionFailure("'\(name)' is not true or false") }
    return flag
  }

  func text(_ name: String) -> String? {
    guard case .text(let text) = value(name) else { return nil }
    return text
  }

  func list(_ name: String) -> [String] {
    guard case .list(let items) = value(name) else { return [] }
    return items
  }

  /// The value in force; for one that does not parse (noted already) the default, so that reading goes on.
  private func value(_ name: String) -> ConfigValue? {
    guard let definition = BrokerConfigs.definition(name) else { preconditionFailure("no definition of '\(name)'") }
    return resolver.broker(definition).value
  }
}

/// How many letters have to be added, dropped or changed.
private func editDistance(_ a: String, _ b: String) -> Int {
  let a = Array(a.utf8)
  let b = Array(b.utf8)
  var row = Array(0...b.count)
  for i in a.indices {
    var diagonal = row[0]
    row[0] = i + 1
    for j in b.indices {
      let cost = diagonal + (a[i] == b[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(cost, row[j] + 1, diagonal + 1)
    }
  }
  return row[b.count]
}
