// Writes the members of one struct: stored properties, the memberwise initialiser, reading and writing.

import MessageSchema

struct StructEmitter {
  let message: MessageSchema
  let name: String
  /// The versions in which this struct can be met; conditions are left out where they hold in all of them.
  let versions: VersionRange
  let fields: [FieldSchema]
  let isTopLevel: Bool

  func emit(into source: inout SourceText) {
    for field in fields { source.line("public var \(field.name.escaped): \(swiftType(of: field))") }
    source.line("public var unknownTaggedFields: [TaggedField]")
    source.line()
    emitInitializer(into: &source)
    source.line()
    emitReading(into: &source)
    source.line()
    emitWriting(into: &source)
  }

  private func emitInitializer(into source: inout SourceText) {
    source.block("public init(", ") {") { parameters in
      for field in fields {
        parameters.line("\(field.name.escaped): \(swiftType(of: field)) = \(defaultValue(of: field)),")
      }
      parameters.line("unknownTaggedFields: [TaggedField] = []")
    }
    source.reenter { body in
      for field in fields { body.line("self.\(field.name) = \(field.name.escaped)") }
      body.line("self.unknownTaggedFields = unknownTaggedFields")
    }
  }

  // MARK: Types and defaults

  func isOptional(_ field: FieldSchema) -> Bool { field.nullableVersions != nil || field.type == .records }

  func swiftType(of field: FieldSchema) -> String {
    swiftType(of: field.type) + (isOptional(field) ? "?" : "")
  }

  private func swiftType(of type: FieldType) -> String {
    switch type {
    case .bool: "Bool"
    case .int8: "Int8"
    case .int16: "Int16"
    case .uint16: "UInt16"
    case .int32: "Int32"
    case .uint32: "UInt32"
    case .int64: "Int64"
    case .float64: "Double"
    case .uuid: "Uuid"
    case .string: "String"
    case .bytes: "ByteBuffer"
    case .records: "RecordData"
    case .structure(let name): name
    case .array(let element): "[\(swiftType(of: element))]"
    }
  }

  func defaultValue(of field: FieldSchema) -> String {
    if field.defaultText == "null" { return "nil" }
    return switch field.type {
    case .bool: field.defaultText ?? "false"
    case .int8, .int16, .uint16, .int32, .uint32, .int64, .float64: field.defaultText ?? "0"
    case .uuid: ".zero"
    case .string: "\"\(field.defaultText ?? "")\""
    case .bytes: "ByteBuffer()"
    case .records: "nil"
    case .structure(let name): "\(name)()"
    case .array: "[]"
    }
  }

  /// An expression that is true when the field holds something other than its default.
  func differsFromDefault(_ field: FieldSchema) -> String {
    let value = field.name.propertyAccess
    if field.defaultText == "null" || field.type == .records { return "\(value) != nil" }
    let optional = isOptional(field)
    return switch field.type {
    case .bool where field.defaultText == "true": "!\(value)"
    case .bool: value
    case .array: optional ? "\(value)?.isEmpty != true" : "!\(value).isEmpty"
    case .string where field.defaultText == nil: optional ? "\(value)?.isEmpty != true" : "!\(value).isEmpty"
    case .bytes: optional ? "\(value)?.readableBytes != 0" : "\(value).readableBytes != 0"
    default: "\(value) != \(defaultValue(of: field))"
    }
  }

  // MARK: Conditions on the version

  /// The condition for `range` among the versions of this struct; nil when it always holds.
  func condition(_ range: VersionRange, within all: VersionRange? = nil) -> String? {
    let all = all ?? versions
    let lower = range.lowerBound > all.lowerBound
    let upper = range.upperBound < all.upperBound
    if lower && upper {
      if range.count == 1 { return "version == \(range.lowerBound)" }
      return "version >= \(range.lowerBound) && version <= \(range.upperBound)"
    }
    if lower { return "version >= \(range.lowerBound)" }
    if upper { return "version <= \(range.upperBound)" }
    return nil
  }

  enum Flexibility {
    case never, always
    case from(Int16)
  }

  var flexibility: Flexibility {
    guard let range = message.flexibleVersions, range.upperBound >= versions.lowerBound else { return .never }
    return range.lowerBound <= versions.lowerBound ? .always : .from(range.lowerBound)
  }

  /// What to pass for `flexible`.
  func flexibleArgument(_ field: FieldSchema) -> String {
    if field.isPlain { return "false" }
    if field.tag != nil { return "true" }
    return switch flexibility {
    case .never: "false"
    case .always: "true"
    case .from: "flexible"
    }
  }

  /// The value of a `nullable:` argument, nil where the field is not nullable.
  func nullableArgument(_ field: FieldSchema) -> String? {
    guard let range = field.nullableVersions else { return nil }
    return condition(range, within: field.versions) ?? "true"
  }

  func emitFlexibleConstant(ifUsedIn body: String, into source: inout SourceText) {
    guard case .from(let version) = flexibility, body.contains("flexible") else { return }
    source.line("let flexible = version >= \(version)")
  }
}
