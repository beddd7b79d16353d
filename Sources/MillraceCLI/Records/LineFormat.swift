// A line of text as a record: `headers<TAB>key<TAB>value`, where headers and key are there if asked for. The names of
// the settings and their rules are those of the line reader of Kafka's console producer.

struct LineFormat: Sendable {
  var parsesKey = false
  var keySeparator = Array("\t".utf8)
  var parsesHeaders = false
  /// Behind the headers.
  var headersDelimiter = Array("\t".utf8)
  /// Between two headers.
  var headersSeparator = Array(",".utf8)
  /// Between a header's name and its value.
  var headerKeySeparator = Array(":".utf8)
  /// A line without its separators is a value.
  var ignoresErrors = false
  /// A key, value or header value that reads so is null.
  var nullMarker: [UInt8]?

  init() {}

  /// From the properties of Kafka's line reader; others are none of its business.
  init(properties: [String: String]) throws(RecordFailure) {
    let isTrue = { (name: String) in properties[name]?.lowercased().filter { $0 != " " } == "true" }
    parsesKey = isTrue("parse.key")
    parsesHeaders = isTrue("parse.headers")
    ignoresErrors = isTrue("ignore.error")
    if let text = properties["key.separator"] { keySeparator = Array(text.utf8) }
    if let text = properties["headers.delimiter"] { headersDelimiter = Array(text.utf8) }
    if let text = properties["headers.separator"] { headersSeparator = Array(text.utf8) }
    if let text = properties["headers.key.separator"] { headerKeySeparator = Array(text.utf8) }
    nullMarker = properties["null.marker"].map { Array($0.utf8) }
    try check()
  }

  /// Separators that are alike or empty cannot be told apart.
  func check() throws(RecordFailure) {
    let named = [
      ("headers.delimiter", headersDelimiter), ("headers.separator", headersSeparator),
      ("headers.key.separator", headerKeySeparator),
    ]
    for (index, one) in named.enumerated() {
      for other in named[(index + 1)...] where one.1 == other.1 {
        throw RecordFailure(description: "\(one.0) and \(other.0) may not be equal")
      }
    }
    for separator in named + [("key.separator", keySeparator)] {
      if separator.1.isEmpty { throw RecordFailure(description: "\(separator.0) may not be empty") }
      if separator.1 == nullMarker {
        throw RecordFailure(description: "null.marker and \(separator.0) may not be equal")
      }
    }
  }

  func record(line: [UInt8], number: Int) throws(RecordFailure) -> OutgoingRecord {
    var rest = line[...]
    var record = OutgoingRecord()
    if let headers = try take(parsesHeaders, headersDelimiter, "headers delimiter", &rest, line, number),
      Array(headers) != nullMarker
    {
      record.headers = try self.headers(headers, number)
    }
    if let key = try take(parsesKey, keySeparator, "key separator", &rest, line, number) {
      record.key = unlessNull(key)
    }
    record.value = unlessNull(rest)
    return record
  }

  private func unlessNull(_ bytes: ArraySlice<UInt8>) -> [UInt8]? {
    let bytes = Array(bytes)
    return bytes == nullMarker ? nil : bytes
  }

  private func take(
    _ enabled: Bool, _ separator: [UInt8], _ name: String, _ rest: inout ArraySlice<UInt8>, _ line: [UInt8],
    _ number: Int
  ) throws(RecordFailure) -> ArraySlice<UInt8>? {
    guard enabled else { return nil }
    guard let range = rest.firstRange(of: separator) else {
      if ignoresErrors { return nil }
      throw RecordFailure(
        description: "No \(name) found on line number \(number): '\(String(decoding: line, as: UTF8.self))'")
    }
    defer { rest = rest[range.upperBound...] }
    return rest[..<range.lowerBound]
  }

  private func headers(_ text: ArraySlice<UInt8>, _ number: Int) throws(RecordFailure) -> [OutgoingRecord.Header] {
    var headers: [OutgoingRecord.Header] = []
    var rest = text
    var more = true
    while more {
      let end = rest.firstRange(of: headersSeparator)
      let pair = rest[..<(end?.lowerBound ?? rest.endIndex)]
      more = end != nil
      rest = rest[(end?.upperBound ?? rest.endIndex)...]
      guard let colon = pair.firstRange(of: headerKeySeparator) else {
        let name = String(decoding: pair, as: UTF8.self)
        guard ignoresErrors else {
          throw RecordFailure(description: "No header key separator found in pair '\(name)' on line number \(number)")
        }
        headers.append(.init(name: name, value: nil))
        continue
      }
      let name = pair[..<colon.lowerBound]
      if Array(name) == nullMarker {
        throw RecordFailure(
          description: "A header on line number \(number) has the null marker as its name; a name cannot be null")
      }
      headers.append(.init(name: String(decoding: name, as: UTF8.self), value: unlessNull(pair[colon.upperBound...])))
    }
    return headers
  }
}

extension Collection where Element: Equatable {
  /// Where `part`, which is not empty, is found first.
  fileprivate func firstRange(of part: [Element]) -> Range<Index>? {
    guard let first = part.first else { return nil }
    var start = startIndex
    while let candidate = self[start...].firstIndex(of: first) {
      var end = candidate
      var matched = 0
      while matched < part.count, end < endIndex, self[end] == part[matched] {
        formIndex(after: &end)
        matched += 1
      }
      if matched == part.count { return candidate..<end }
      start = index(after: candidate)
    }
    return nil
  }
}
