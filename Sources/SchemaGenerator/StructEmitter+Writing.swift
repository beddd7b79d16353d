// Writes `write(to:version:)`.

import MessageSchema

extension StructEmitter {
  func emitWriting(into source: inout SourceText) {
    let signature = "public func write(to writer: inout MessageWriter, version: Int16) throws(ProtocolError) {"
    var probe = SourceText()
    emitWritingBody(into: &probe)
    source.block(signature) { body in
      if isTopLevel { body.line("try Self.check(version)") }
      emitFlexibleConstant(ifUsedIn: probe.text, into: &body)
      emitWritingBody(into: &body)
    }
  }

  private func emitWritingBody(into source: inout SourceText) {
    for field in fields { emitField(field, into: &source) }
    switch flexibility {
    case .never: source.line("try writer.refuse(unknownTaggedFields)")
    case .always: emitTagWriting(into: &source)
    case .from:
      if fields.contains(where: { $0.tag != nil }) {
        source.block("if flexible {") { emitTagWriting(into: &$0) }
        source.reopen("else {") { $0.line("try writer.refuse(unknownTaggedFields)") }
      } else {
        source.line("try writer.writeTaggedFields(unknownTaggedFields, flexible)")
      }
    }
  }

  private func emitField(_ field: FieldSchema, into source: inout SourceText) {
    let refusal =
      "throw ProtocolError.notRepresentable(field: \"\(qualifiedName(field))\", version: version)"
    guard let condition = condition(field.versions) else {
      if field.tag == nil { source.line(writing(field, field.name.propertyAccess)) }
      return
    }
    if field.tag == nil {
      source.block("if \(condition) {") { $0.line(writing(field, field.name.propertyAccess)) }
      if !field.isIgnorable { source.reopen("else if \(differsFromDefault(field)) {") { $0.line(refusal) } }
    } else if !field.isIgnorable {
      source.block("if \(negation(of: field.versions)), \(differsFromDefault(field)) {") { $0.line(refusal) }
    }
  }

  private func emitTagWriting(into source: inout SourceText) {
    let tagged = fields.filter { $0.tag != nil }.sorted { ($0.tag ?? 0) < ($1.tag ?? 0) }
    guard !tagged.isEmpty else {
      source.line("try writer.writeTaggedFields(unknownTaggedFields)")
      return
    }
    source.line("var tags = writer.beginTaggedFields(unknownTaggedFields, defined: \(tagged.count))")
    for field in tagged {
      let condition = [flexibleCondition(field), differsFromDefault(field)].compactMap(\.self).joined(separator: ", ")
      source.block("if \(condition) {") { body in
        body.line("writer.beginTaggedField(\(field.tag ?? 0), &tags)")
        body.line(writing(field, field.name.propertyAccess))
        body.line("writer.endTaggedField(&tags)")
      }
    }
    source.line("try writer.endTaggedFields(&tags)")
  }

  /// The condition for being outside of `range`, which must not be all versions of this struct.
  private func negation(of range: VersionRange) -> String {
    if range.upperBound >= versions.upperBound { return "version < \(range.lowerBound)" }
    if range.lowerBound <= versions.lowerBound { return "version > \(range.upperBound)" }
    return "version < \(range.lowerBound) || version > \(range.upperBound)"
  }

  private func qualifiedName(_ field: FieldSchema) -> String {
    (isTopLevel ? name : "\(message.name).\(name)") + ".\(field.name)"
  }

  private func writing(_ field: FieldSchema, _ value: String) -> String {
    let flexible = flexibleArgument(field)
    let nullable = nullableArgument(field)
    let prefix = nullable == nil ? "write" : "writeNullable"
    let argument =
      nullable.map { $0 == "true" ? "" : ", nullable: \($0), \"\(qualifiedName(field))\", version" } ?? ""
    switch field.type {
    case .bool, .int8, .int16, .uint16, .int32, .uint32, .int64, .float64, .uuid:
      return "writer.write\(field.type.runtimeName)(\(value))"
    case .string, .bytes:
      return "try writer.\(prefix)\(field.type.runtimeName)(\(value), \(flexible)\(argument))"
    case .records:
      let nullable = nullable ?? "false"
      return
        "try writer.writeRecords(\(value), \(flexible), nullable: \(nullable), \"\(qualifiedName(field))\", version)"
    case .structure:
      guard nullable != nil else { return "try \(value).write(to: &writer, version: version)" }
      let marker = field.tag == nil ? "" : "Tagged"
      let limit = argument.isEmpty ? "" : ", nullable: \(nullable ?? ""), \"\(qualifiedName(field))\""
      return "try writer.writeNullable\(marker)Struct(\(value), version\(limit))"
    case .array(.structure):
      let limit = argument.isEmpty ? "" : ", nullable: \(nullable ?? ""), \"\(qualifiedName(field))\""
      return "try writer.\(prefix)Structs(\(value), \(flexible), version\(limit))"
    case .array: return "try writer.\(prefix)Array(\(value), \(flexible)\(argument))"
    }
  }
}
