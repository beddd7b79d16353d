// Random bytes of a message, written by walking its schema: an encoder that shares nothing with the generated one.
//
// The bytes are the canonical ones, so that writing what was read must give them back: a tagged field is left out when
// its value happens to be the default, tags ascend, booleans are 0 or 1.

import MessageSchema
import NIOCore

struct RandomMessage {
  let message: MessageSchema
  let version: Int16
  /// Whether tagged fields that nobody defines are mixed in.
  let withUnknownTags: Bool
  var random: SplitMix

  private var flexible: Bool { message.isFlexible(version) }

  static func bytes(
    _ message: MessageSchema, version: Int16, withUnknownTags: Bool = true, seed: UInt64
  ) -> ByteBuffer {
    var walker = RandomMessage(
      message: message, version: version, withUnknownTags: withUnknownTags, random: SplitMix(seed: seed))
    var out = ByteBuffer()
    _ = walker.write(message.fields, to: &out)
    return out
  }

  /// Writes the fields of a struct; true when all of them are at their defaults.
  private mutating func write(_ fields: [FieldSchema], to out: inout ByteBuffer) -> Bool {
    var isDefault = true
    for field in fields where field.tag == nil && field.versions.contains(version) {
      isDefault = write(field, to: &out) && isDefault
    }
    guard flexible else { return isDefault }
    var tagged: [(tag: UInt32, bytes: ByteBuffer)] = []
    for field in fields where field.versions.contains(version) {
      guard let tag = field.tag, chance(1, in: 2) else { continue }
      var bytes = ByteBuffer()
      if !write(field, to: &bytes) { tagged.append((tag, bytes)) }
    }
    tagged.sort { $0.tag < $1.tag }
    if withUnknownTags, chance(1, in: 4) {
      var tag: UInt32 = 50
      for _ in 0..<Int.random(in: 1...2, using: &random) {
        tag += UInt32.random(in: 1...10_000, using: &random)
        tagged.append((tag, randomBytes(upTo: chance(1, in: 8) ? 300 : 8)))
      }
    }
    out.writeVarint(tagged.count)
    for field in tagged {
      out.writeVarint(Int(field.tag))
      out.writeVarint(field.bytes.readableBytes)
      out.writeImmutableBuffer(field.bytes)
    }
    return isDefault && tagged.isEmpty
  }

  private mutating func write(_ field: FieldSchema, to out: inout ByteBuffer) -> Bool {
    let compact = flexible && !field.isPlain
    let nullable = field.nullableVersions?.contains(version) ?? false
    if nullable, chance(1, in: 3) {
      switch field.type {
      case .string: compact ? out.writeVarint(0) : out.writeInt(-1 as Int16)
      case .structure: field.tag == nil ? out.writeInt(-1 as Int8) : out.writeVarint(0)
      default: compact ? out.writeVarint(0) : out.writeInt(-1 as Int32)
      }
      return field.defaultText == "null" || field.type == .records
    }
    let value = write(field.type, compact: compact, nullable: nullable, tagged: field.tag != nil, to: &out)
    return value == .scalar(field.defaultText ?? "0")
      || value == .empty && (field.defaultText ?? "") == "" && field.type != .records
  }

  /// What is needed to tell whether a value is the default.
  private enum Written: Equatable {
    case scalar(String)
    case empty
    case other
  }

  private mutating func write(
    _ type: FieldType, compact: Bool, nullable: Bool, tagged: Bool, to out: inout ByteBuffer
  ) -> Written {
    switch type {
    case .bool:
      let value = chance(1, in: 2)
      out.writeInteger(value ? 1 as UInt8 : 0)
      return .scalar(value ? "true" : "0")
    case .int8: return writeInteger(Int8.self, to: &out)
    case .int16: return writeInteger(Int16.self, to: &out)
    case .uint16: return writeInteger(UInt16.self, to: &out)
    case .int32: return writeInteger(Int32.self, to: &out)
    case .uint32: return writeInteger(UInt32.self, to: &out)
    case .int64: return writeInteger(Int64.self, to: &out)
    case .float64:
      let value = Double.random(in: -1e6...1e6, using: &random)
      out.writeInteger(value.bitPattern)
      return .other
    case .uuid:
      if chance(1, in: 4) {
        out.writeRepeatingByte(0, count: 16)
        return .empty
      }
      out.writeMultipleIntegers(random.next(), random.next())
      return .other
    case .string:
      let text = randomText()
      compact ? out.writeVarint(text.utf8.count + 1) : out.writeInt(Int16(text.utf8.count))
      out.writeString(text)
      return text.isEmpty ? .empty : .other
    case .bytes, .records:
      let bytes = randomBytes(upTo: 12)
      compact ? out.writeVarint(bytes.readableBytes + 1) : out.writeInt(Int32(bytes.readableBytes))
      out.writeImmutableBuffer(bytes)
      return bytes.readableBytes == 0 ? .empty : .other
    case .structure(let name):
      if nullable { tagged ? out.writeVarint(1) : out.writeInt(1 as Int8) }
      return write(message.fields(of: name), to: &out) ? .empty : .other
    case .array(let element):
      let count = Int.random(in: 0...2, using: &random)
      compact ? out.writeVarint(count + 1) : out.writeInt(Int32(count))
      for _ in 0..<count { _ = write(element, compact: compact, nullable: false, tagged: false, to: &out) }
      return count == 0 ? .empty : .other
    }
  }

  // MARK: Values

  private mutating func chance(_ hits: Int, in all: Int) -> Bool { Int.random(in: 1...all, using: &random) <= hits }

  /// Often small or at an end of the range.
  private mutating func writeInteger<T: FixedWidthInteger>(_ type: T.Type, to out: inout ByteBuffer) -> Written {
    let value: T =
      switch Int.random(in: 0..<6, using: &random) {
      case 0: 0
      case 1: T.max
      case 2: T.min
      case 3: T(truncatingIfNeeded: -1)
      default: T.random(in: T.min...T.max, using: &random)
      }
    out.writeInteger(value)
    return .scalar("\(value)")
  }

  private mutating func randomText() -> String {
    let alphabet: [Character] = ["a", "Z", "0", "-", " ", "é", "ł", "日", "🦫", "\u{0}"]
    // Now and then long enough for a length of two bytes.
    let count = chance(1, in: 40) ? 200 : Int.random(in: 0...6, using: &random)
    return String((0..<count).map { _ in alphabet.randomElement(using: &random) ?? "a" })
  }

  private mutating func randomBytes(upTo limit: Int) -> ByteBuffer {
    let count = Int.random(in: 0...limit, using: &random)
    return ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) })
  }
}

extension ByteBuffer {
  fileprivate mutating func writeInt<T: FixedWidthInteger>(_ value: T) { writeInteger(value) }

  fileprivate mutating func writeVarint(_ value: Int) {
    var rest = value
    repeat {
      writeInteger(UInt8(rest & 0x7F) | (rest > 0x7F ? 0x80 : 0))
      rest >>= 7
    } while rest > 0
  }
}
