// Kafka's own message definitions, where they are at hand: beside the package (`../shared/protocol`), or where
// MILLRACE_PROTOCOL_DATA says. They are the yardstick for the schemas and no part of this project.

import Foundation

struct ProtocolData {
  let folder: URL

  /// Nil when the definitions are not there; what needs them is then skipped.
  static let found: ProtocolData? = {
    let beside = Schemas.packageRoot.deletingLastPathComponent().appending(path: "shared/protocol").path
    let candidates = [ProcessInfo.processInfo.environment["MILLRACE_PROTOCOL_DATA"], beside].compactMap(\.self)
    return candidates.first { FileManager.default.fileExists(atPath: $0 + "/kafka-4.2") }
      .map { ProtocolData(folder: URL(filePath: $0)) }
  }()

  func definitions() throws -> [KafkaDefinition] {
    let root = folder.appending(path: "kafka-4.2")
    let paths = try FileManager.default.subpathsOfDirectory(atPath: root.path).filter { $0.hasSuffix(".json") }
    return try paths.sorted().compactMap { path in
      try KafkaDefinition(json: Self.json(at: root.appending(path: path)))
    }
  }

  func errorCodes() throws -> [(code: Int16, name: String, isRetriable: Bool)] {
    let text = try String(contentsOf: folder.appending(path: "error-codes.tsv"), encoding: .utf8)
    return text.split(separator: "\n").dropFirst().compactMap { line in
      let columns = line.split(separator: "\t")
      return Int16(columns[0]).map { ($0, String(columns[1]), columns[2] == "yes") }
    }
  }

  private static func json(at url: URL) throws -> [String: Any] {
    // Comments take the rest of a line, and never stand inside a string.
    let lines = try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map { line in
      line.range(of: "//").map { line[..<$0.lowerBound] } ?? line
    }
    let data = Data(lines.joined(separator: "\n").utf8)
    return try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
  }
}

/// One of Kafka's definition files, flattened to what a version's bytes depend on.
struct KafkaDefinition {
  struct Field: Equatable, CustomStringConvertible {
    var name: String
    var type: String
    var isNullable: Bool
    var tag: Int?
    var isKey: Bool
    var isIgnorable: Bool
    var isPlain: Bool
    var defaultText: String?
    var fields: [Field]

    var description: String {
      "\(name) \(type)\(isNullable ? "?" : "") tag \(tag.map(String.init) ?? "-") \(isKey ? "key " : "")"
        + "\(isIgnorable ? "ignorable " : "")\(isPlain ? "plain " : "")= \(defaultText ?? "-") \(fields)"
    }
  }

  let name: String
  let kind: String
  let apiKey: Int?
  let versions: ClosedRange<Int>
  let flexibleVersions: ClosedRange<Int>?
  let latestVersionIsUnstable: Bool
  private let json: [String: Any]

  /// Nil for what no broker serves: removed APIs, and those between controllers only.
  init?(json: [String: Any]) {
    guard let name = json["name"] as? String, let kind = json["type"] as? String,
      let versions = Self.range(json["validVersions"])
    else { return nil }
    if kind == "request", !(json["listeners"] as? [String] ?? []).contains("broker") { return nil }
    self.name = name
    self.kind = kind
    self.versions = versions
    self.json = json
    apiKey = json["apiKey"] as? Int
    flexibleVersions = Self.range(json["flexibleVersions"]).map { $0.clamped(to: versions) }
    latestVersionIsUnstable = json["latestVersionUnstable"] as? Bool ?? false
  }

  func fields(version: Int) -> [Field] { fields(json["fields"], version: version) }

  private func fields(_ list: Any?, version: Int) -> [Field] {
    (list as? [[String: Any]] ?? []).compactMap { field in
      let tagged = Self.range(field["taggedVersions"])
      guard let versions = Self.range(field["versions"]) ?? tagged, versions.contains(version),
        let name = field["name"] as? String, let type = field["type"] as? String
      else { return nil }
      let element = type.hasPrefix("[]") ? String(type.dropFirst(2)) : type
      var nested = field["fields"]
      if nested == nil, element.first?.isUppercase == true {
        nested = (json["commonStructs"] as? [[String: Any]])?.first { $0["name"] as? String == element }?["fields"]
      }
      return Field(
        name: name.prefix(1).lowercased() + name.dropFirst(),
        type: type.hasPrefix("[]") ? "[\(element)]" : type,
        isNullable: Self.range(field["nullableVersions"])?.contains(version) ?? false,
        tag: tagged?.contains(version) == true ? field["tag"] as? Int : nil,
        isKey: field["mapKey"] as? Bool ?? false,
        isIgnorable: Self.isTrue(field["ignorable"]),
        isPlain: field["flexibleVersions"] as? String == "none",
        defaultText: Self.defaultText(field["default"], type: type),
        fields: fields(nested, version: version))
    }
  }

  /// Nil for the zero of the type. A JSON null, unlike the text `null`, is no default at all.
  private static func defaultText(_ value: Any?, type: String) -> String? {
    let text: String
    switch value {
    case let string as String: text = string
    case let number as NSNumber: text = type == "bool" ? (number.boolValue ? "true" : "false") : number.stringValue
    default: return nil
    }
    if text.hasPrefix("0x") { return Int(text.dropFirst(2), radix: 16).map(String.init) }
    return text.isEmpty || text == "0" && type != "string" || text == "false" && type == "bool" ? nil : text
  }

  /// A few of the files write a boolean as text.
  private static func isTrue(_ value: Any?) -> Bool { value as? Bool ?? (value as? String == "true") }

  private static func range(_ value: Any?) -> ClosedRange<Int>? {
    guard let text = value as? String, text != "none" else { return nil }
    if text.hasSuffix("+") { return Int(text.dropLast()).map { $0...Int(Int16.max) } }
    let bounds = text.split(separator: "-").compactMap { Int($0) }
    guard let lower = bounds.first, let upper = bounds.last else { return nil }
    return lower...upper
  }
}
