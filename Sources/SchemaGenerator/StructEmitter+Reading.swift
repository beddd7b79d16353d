// Writes `init(from:version:)`.

import MessageSchema

extension StructEmitter {
  func emitReading(into source: inout SourceText) {
    let signature = "public init(from reader: inout MessageReader, version: Int16) throws(ProtocolError) {"
    var probe = SourceText()
    emitReadingBody(into: &probe)
    source.block(signature) { body in
      if isTopLevel { body.line("try Self.check(version)") }
      emitFlexibleConstant(ifUsedIn: probe.text, into: &body)
      body.line("self.init()")
      emitReadingBody(into: &body)
    }
  }

  private func emitReadingBody(into source: inout SourceText) {
    for field in fields where field.tag == nil {
      let assignment = "\(field.name.propertyAccess) = \(reading(field))"
      if let condition = condition(field.versions) {
        source.line("if \(condition) { \(assignment) }")
      } else {
        source.line(assignment)
      }
    }
    switch flexibility {
    case .never: break
    case .always: emitTagReading(into: &source)
    case .from:
      let tagged = fields.contains { $0.tag != nil }
      if tagged {
        source.block("if flexible {") { emitTagReading(into: &$0) }
      } else {
        source.line("if flexible { unknownTaggedFields = try reader.readTaggedFields() }")
      }
    }
  }

  private func emitTagReading(into source: inout SourceText) {
    let tagged = fields.filter { $0.tag != nil }
    guard !tagged.isEmpty else {
      source.line("unknownTaggedFields = try reader.readTaggedFields()")
      return
    }
    source.block("for _ in 0..<(try reader.readTaggedFieldCount()) {") { loop in
      loop.line("var field = try reader.readTaggedField()")
      loop.line("switch field.tag {")
      for field in tagged {
        loop.line("case \(field.tag ?? 0):")
        loop.indented { body in
          if let condition = flexibleCondition(field) { body.line("try field.require(\(condition))") }
          body.line("\(field.name.propertyAccess) = \(reading(field))")
          body.line("try field.finish()")
        }
      }
      loop.line("default: unknownTaggedFields.append(field.preserved)")
      loop.line("}")
    }
  }

  /// The condition for a tagged field, among the flexible versions of this struct.
  func flexibleCondition(_ field: FieldSchema) -> String? {
    guard case .from(let first) = flexibility else { return condition(field.versions) }
    return condition(field.versions, within: first...versions.upperBound)
  }

  private func reading(_ field: FieldSchema) -> String {
    let reader = field.tag == nil ? "reader" : "field.reader"
    let flexible = flexibleArgument(field)
    let nullable = nullableArgument(field)
    let prefix = nullable == nil ? "read" : "readNullable"
    let argument = nullable.map { $0 == "true" ? "" : ", nullable: \($0)" } ?? ""
    switch field.type {
    case .bool, .int8, .int16, .uint16, .int32, .uint32, .int64, .float64, .uuid:
      return "try \(reader).read\(field.type.runtimeName)()"
    case .string, .bytes: return "try \(reader).\(prefix)\(field.type.runtimeName)(\(flexible)\(argument))"
    case .records: return "try \(reader).readRecords(\(flexible), nullable: \(nullable ?? "false"))"
    case .structure(let name):
      guard nullable != nil else { return "try \(name)(from: &\(reader), version: version)" }
      let marker = field.tag == nil ? "" : "Tagged"
      return "try \(reader).readNullable\(marker)Struct(version\(argument))"
    case .array(.structure(let name)):
      let minimum = message.minimumByteCount(of: name)
      return "try \(reader).\(prefix)Structs(\(flexible), version, minimumSize: \(minimum)\(argument))"
    case .array: return "try \(reader).\(prefix)Array(\(flexible)\(argument))"
    }
  }
}

extension FieldType {
  /// The name of a scalar in the runtime's `read…` and `write…`.
  var runtimeName: String {
    switch self {
    case .bool: "Bool"
    case .int8: "Int8"
    case .int16: "Int16"
    case .uint16: "UInt16"
    case .int32: "Int32"
    case .uint32: "UInt32"
    case .int64: "Int64"
    case .float64: "Float64"
    case .uuid: "Uuid"
    case .string: "String"
    case .bytes: "Bytes"
    case .records: "Records"
    case .structure, .array: preconditionFailure("not a scalar")
    }
  }
}
