// How the bytes of a key or value are shown. Kafka's console consumer names Java classes for this; the serializers of
// Kafka's own library are known here by what they write, big-endian.

enum FieldText: String, Sendable {
  case bytes, short, integer, long, float, double, boolean

  init(deserializer name: String) throws(RecordFailure) {
    let known: [String: FieldText] = [
      "StringDeserializer": .bytes, "ByteArrayDeserializer": .bytes, "BytesDeserializer": .bytes,
      "ByteBufferDeserializer": .bytes,
      "ShortDeserializer": .short, "IntegerDeserializer": .integer, "LongDeserializer": .long,
      "FloatDeserializer": .float,
      "DoubleDeserializer": .double, "BooleanDeserializer": .boolean, "UUIDDeserializer": .bytes,
    ]
    guard let text = known[String(name.split(separator: ".").last ?? "")] else {
      throw RecordFailure(
        description: "the deserializer \(name) is not known; these are: \(known.keys.sorted().joined(separator: ", "))")
    }
    self = text
  }

  /// Bytes of another length than the type has are shown as they are.
  func append(_ content: some Collection<UInt8>, to bytes: inout [UInt8]) {
    let value = content.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let text: String? =
      switch (self, content.count) {
      case (.short, 2): "\(Int16(bitPattern: UInt16(truncatingIfNeeded: value)))"
      case (.integer, 4): "\(Int32(bitPattern: UInt32(truncatingIfNeeded: value)))"
      case (.long, 8): "\(Int64(bitPattern: value))"
      case (.float, 4): "\(Float(bitPattern: UInt32(truncatingIfNeeded: value)))"
      case (.double, 8): "\(Double(bitPattern: value))"
      case (.boolean, 1): value == 0 ? "false" : "true"
      default: nil
      }
    if let text { bytes += text.utf8 } else { bytes += content }
  }
}
