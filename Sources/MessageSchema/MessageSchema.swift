// The model of a schema file: what the parser yields, the generator emits from, and the tests walk.
//
// Versions are absolute: every range is already cut to the versions of its message, and a field's range to that of
// the struct it is written in, so nobody downstream has to intersect anything.

package typealias VersionRange = ClosedRange<Int16>

/// One message: a request, a response, a record key or value, or a blob with a version of its own.
package struct MessageSchema: Sendable {
  package enum Kind: String, Sendable {
    case request, response, key, value, record, message
  }

  package var kind: Kind
  /// The Swift name: `ProduceRequest`, `OffsetCommitKey`.
  package var name: String
  /// The API or record type number in the file name, where the file has one.
  package var apiKey: Int16?
  package var versions: VersionRange
  /// The versions that use compact lengths and tagged fields.
  package var flexibleVersions: VersionRange?
  package var latestVersionIsUnstable: Bool
  package var fields: [FieldSchema]
  /// Every struct of the message, in order of appearance; the ones that several fields share come last.
  package var structs: [StructSchema]

  package func fields(of structName: String) -> [FieldSchema] {
    structs.first { $0.name == structName }?.fields ?? []
  }

  package func isFlexible(_ version: Int16) -> Bool {
    flexibleVersions?.contains(version) ?? false
  }
}

package struct StructSchema: Sendable {
  package var name: String
  /// The versions in which the struct can be met.
  package var versions: VersionRange
  package var fields: [FieldSchema]
}

package struct FieldSchema: Sendable {
  package var name: String
  package var type: FieldType
  package var versions: VersionRange
  package var nullableVersions: VersionRange?
  /// A field with a tag is written in the tagged section in all of its versions.
  package var tag: UInt32?
  package var isKey: Bool
  /// Whether a value that a version cannot represent is dropped without an error.
  package var isIgnorable: Bool
  /// Written with the plain length prefix even in flexible versions.
  package var isPlain: Bool
  /// As written in the schema; nil means the zero of the type.
  package var defaultText: String?
}

package indirect enum FieldType: Sendable, Equatable {
  case bool, int8, int16, uint16, int32, uint32, int64, float64, uuid, string, bytes, records
  case structure(String)
  case array(FieldType)

  private static let scalars: [String: FieldType] = [
    "bool": .bool, "int8": .int8, "int16": .int16, "uint16": .uint16, "int32": .int32, "uint32": .uint32,
    "int64": .int64, "float64": .float64, "uuid": .uuid, "string": .string, "bytes": .bytes, "records": .records,
  ]

  package init?(text: Substring) {
    if text.hasPrefix("["), text.hasSuffix("]") {
      guard let element = FieldType(text: text.dropFirst().dropLast()) else { return nil }
      if case .array = element { return nil }
      self = .array(element)
    } else if let scalar = Self.scalars[String(text)] {
      self = scalar
    } else if let first = text.first, first.isUppercase {
      self = .structure(String(text))
    } else {
      return nil
    }
  }

  /// The struct that a value of this type, or an element of it, is.
  package var structName: String? {
    switch self {
    case .structure(let name): name
    case .array(let element): element.structName
    default: nil
    }
  }
}

extension MessageSchema {
  /// The fewest bytes that a struct of this message can take in any version it exists in: what bounds the number of
  /// elements an array may claim.
  package func minimumByteCount(of structName: String) -> Int {
    guard let structure = structs.first(where: { $0.name == structName }) else { return 0 }
    return structure.versions.map { minimumByteCount(of: structure.fields, version: $0) }.min() ?? 0
  }

  private func minimumByteCount(of fields: [FieldSchema], version: Int16) -> Int {
    let flexible = isFlexible(version)
    var sum = flexible ? 1 : 0
    for field in fields where field.tag == nil && field.versions.contains(version) {
      let nullable = field.nullableVersions?.contains(version) ?? false
      sum += minimumByteCount(of: field.type, nullable: nullable, flexible: flexible, version: version)
    }
    return sum
  }

  private func minimumByteCount(of type: FieldType, nullable: Bool, flexible: Bool, version: Int16) -> Int {
    switch type {
    case .bool, .int8: 1
    case .int16, .uint16: 2
    case .int32, .uint32: 4
    case .int64, .float64: 8
    case .uuid: 16
    case .string: flexible ? 1 : 2
    case .bytes, .records, .array: flexible ? 1 : 4
    case .structure(let name): nullable ? 1 : minimumByteCount(of: self.fields(of: name), version: version)
    }
  }
}
