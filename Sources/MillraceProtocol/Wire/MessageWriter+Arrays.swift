// Arrays and structs on their way out.

extension MessageWriter {
  // MARK: Structs

  @inline(never)
  mutating func writeStructs<Element: Message>(
    _ elements: [Element], _ flexible: Bool, _ version: Int16
  ) throws(ProtocolError) {
    try writeLength(elements.count, flexible)
    for element in elements { try element.write(to: &self, version: version) }
  }

  @inline(never)
  mutating func writeNullableStructs<Element: Message>(
    _ elements: [Element]?, _ flexible: Bool, _ version: Int16, nullable: Bool = true, _ field: String = ""
  ) throws(ProtocolError) {
    if let elements { return try writeStructs(elements, flexible, version) }
    guard nullable else { throw .nullNotAllowed(field: field, version: version) }
    try writeLength(nil, flexible)
  }

  @inline(never)
  mutating func writeNullableStruct<Value: Message>(
    _ value: Value?, _ version: Int16, nullable: Bool = true, _ field: String = ""
  ) throws(ProtocolError) {
    guard let value else {
      guard nullable else { throw .nullNotAllowed(field: field, version: version) }
      return writeInt8(-1)
    }
    if nullable { writeInt8(1) }
    try value.write(to: &self, version: version)
  }

  @inline(never)
  mutating func writeNullableTaggedStruct<Value: Message>(
    _ value: Value?, _ version: Int16, nullable: Bool = true, _ field: String = ""
  ) throws(ProtocolError) {
    guard let value else {
      guard nullable else { throw .nullNotAllowed(field: field, version: version) }
      return writeUnsignedVarint(0)
    }
    if nullable { writeUnsignedVarint(1) }
    try value.write(to: &self, version: version)
  }

  // MARK: Numbers, ids and strings

  @inline(never)
  mutating func writeArray<Element: ArrayElement>(
    _ elements: [Element], _ flexible: Bool
  ) throws(ProtocolError) {
    try writeLength(elements.count, flexible)
    for element in elements { try element.write(to: &self, flexible) }
  }

  @inline(never)
  mutating func writeNullableArray<Element: ArrayElement>(
    _ elements: [Element]?, _ flexible: Bool
  ) throws(ProtocolError) {
    if let elements { return try writeArray(elements, flexible) }
    try writeLength(nil, flexible)
  }

  @inline(never)
  mutating func writeNullableArray<Element: ArrayElement>(
    _ elements: [Element]?, _ flexible: Bool, nullable: Bool, _ field: String, _ version: Int16
  ) throws(ProtocolError) {
    if elements == nil, !nullable { throw .nullNotAllowed(field: field, version: version) }
    try writeNullableArray(elements, flexible)
  }
}
