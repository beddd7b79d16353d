// Arrays and structs. A count is believed only as far as the bytes left could hold that many elements of the smallest
// size, and room is reserved for a bounded number of them: the rest must prove themselves by being read. So what a
// frame makes us allocate stays within a small multiple of the frame.

import NIOCore

/// A type that an array can hold directly.
protocol ArrayElement: Sendable {
  static func minimumSize(_ flexible: Bool) -> Int
  static func read(from reader: inout MessageReader, _ flexible: Bool) throws(ProtocolError) -> Self
  func write(to writer: inout MessageWriter, _ flexible: Bool) throws(ProtocolError)
}

extension MessageReader {
  /// The most elements that room is reserved for on the word of a count alone.
  static let reservedElementLimit = 256

  /// A count that what is left could hold; nil is null.
  @inline(never)
  private mutating func readCount(
    _ flexible: Bool, nullable: Bool, minimumSize: Int
  ) throws(ProtocolError) -> Int? {
    guard let count = try readLength(flexible) else {
      if nullable { return nil }
      throw .unexpectedNull(at: offset)
    }
    // Divided rather than multiplied: a product could overflow where `Int` is narrow.
    guard count <= remaining / max(minimumSize, 1) else { throw .invalidLength(count, at: offset) }
    return count
  }

  // MARK: Structs

  @inline(never)
  mutating func readNullableStructs<Element: Message>(
    _ flexible: Bool, _ version: Int16, minimumSize: Int, nullable: Bool = true
  ) throws(ProtocolError) -> [Element]? {
    guard let count = try readCount(flexible, nullable: nullable, minimumSize: minimumSize) else { return nil }
    var elements: [Element] = []
    elements.reserveCapacity(min(count, Self.reservedElementLimit))
    for _ in 0..<count { elements.append(try Element(from: &self, version: version)) }
    return elements
  }

  @inline(never)
  mutating func readStructs<Element: Message>(
    _ flexible: Bool, _ version: Int16, minimumSize: Int
  ) throws(ProtocolError) -> [Element] {
    guard let elements: [Element] = try readNullableStructs(flexible, version, minimumSize: minimumSize) else {
      throw .unexpectedNull(at: offset)
    }
    return elements
  }

  /// A struct that may be missing begins with a byte: negative for null.
  @inline(never)
  mutating func readNullableStruct<Value: Message>(
    _ version: Int16, nullable: Bool = true
  ) throws(ProtocolError) -> Value? {
    if nullable, try readInt8() < 0 { return nil }
    return try Value(from: &self, version: version)
  }

  /// In a tagged field the marker is an unsigned varint, and 0 is null.
  @inline(never)
  mutating func readNullableTaggedStruct<Value: Message>(
    _ version: Int16, nullable: Bool = true
  ) throws(ProtocolError) -> Value? {
    if nullable, try readUnsignedVarint() == 0 { return nil }
    return try Value(from: &self, version: version)
  }

  // MARK: Numbers, ids and strings

  @inline(never)
  mutating func readNullableArray<Element: ArrayElement>(
    _ flexible: Bool, nullable: Bool = true
  ) throws(ProtocolError) -> [Element]? {
    let minimumSize = Element.minimumSize(flexible)
    guard let count = try readCount(flexible, nullable: nullable, minimumSize: minimumSize) else { return nil }
    var elements: [Element] = []
    elements.reserveCapacity(min(count, Self.reservedElementLimit))
    for _ in 0..<count { elements.append(try Element.read(from: &self, flexible)) }
    return elements
  }

  @inline(never)
  mutating func readArray<Element: ArrayElement>(_ flexible: Bool) throws(ProtocolError) -> [Element] {
    guard let elements: [Element] = try readNullableArray(flexible) else { throw .unexpectedNull(at: offset) }
    return elements
  }
}

extension Int8: ArrayElement {
  static func minimumSize(_ flexible: Bool) -> Int { 1 }
  static func read(from reader: inout MessageReader, _ flexible: Bool) throws(ProtocolError) -> Int8 {
    try reader.readInt8()
  }
  func write(to writer: inout MessageWriter, _ flexible: Bool) { writer.writeInt8(self) }
}

extension Int16: ArrayElement {
  static func minimumSize(_ flexible: Bool) -> Int { 2 }
  static func read(from reader: inout MessageReader, _ flexible: Bool) throws(ProtocolError) -> Int16 {
    try reader.readInt16()
  }
  func write(to writer: inout MessageWriter, _ flexible: Bool) { writer.writeInt16(self) }
}

extension Int32: ArrayElement {
  static func minimumSize(_ flexible: Bool) -> Int { 4 }
  static func read(from reader: inout MessageReader, _ flexible: Bool) throws(ProtocolError) -> Int32 {
    try reader.readInt32()
  }
  func write(to writer: inout MessageWriter, _ flexible: Bool) { writer.writeInt32(self) }
}

extension Int64: ArrayElement {
  static func minimumSize(_ flexible: Bool) -> Int { 8 }
  static func read(from reader: inout MessageReader, _ flexible: Bool) throws(ProtocolError) -> Int64 {
    try reader.readInt64()
  }
  func write(to writer: inout MessageWriter, _ flexible: Bool) { writer.writeInt64(self) }
}

extension Uuid: ArrayElement {
  static func minimumSize(_ flexible: Bool) -> Int { 16 }
  static func read(from reader: inout MessageReader, _ flexible: Bool) throws(ProtocolError) -> Uuid {
    try reader.readUuid()
  }
  func write(to writer: inout MessageWriter, _ flexible: Bool) { writer.writeUuid(self) }
}

extension String: ArrayElement {
  static func minimumSize(_ flexible: Bool) -> Int { flexible ? 1 : 2 }
  static func read(from reader: inout MessageReader, _ flexible: Bool) throws(ProtocolError) -> String {
    try reader.readString(flexible)
  }
  func write(to writer: inout MessageWriter, _ flexible: Bool) throws(ProtocolError) {
    try writer.writeString(self, flexible)
  }
}
