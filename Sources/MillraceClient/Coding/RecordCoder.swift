// How values of a type are written into records and read out of them. A record's key and value are bytes or null; a coder
// is a pair of functions between those and a type.

import NIOCore

/// Turns values of a type into the bytes of a record's key or value, and back.
///
/// There are coders for strings, integers, floating-point numbers and bytes, in the formats of Kafka's own serializers,
/// and `.json` in the module MillraceJSON. Any other format is two functions:
///
/// ```swift
/// extension RecordCoder where Value == Order {
///   static var protobuf: RecordCoder {
///     RecordCoder { order in
///       ByteBuffer(bytes: try order.serializedBytes() as [UInt8])
///     } decode: { bytes in
///       try Order(serializedBytes: Array(bytes.readableBytesView))
///     }
///   }
/// }
/// ```
///
/// Null is an error of all of them, but for ``nullable(_:)``.
public struct RecordCoder<Value>: Sendable {
  package let encode: @Sendable (Value) throws -> ByteBuffer?
  package let decode: @Sendable (ByteBuffer?) throws -> Value

  /// A coder for values that are never null.
  ///
  /// - Parameters:
  ///   - encode: the bytes of a value. Throws when it has none; the message goes into the error that its caller gets.
  ///   - decode: the value of these bytes. Throws when they are of no value.
  public init(
    _ encode: @escaping @Sendable (Value) throws -> ByteBuffer,
    decode: @escaping @Sendable (ByteBuffer) throws -> Value
  ) {
    self.encode = { try encode($0) }
    self.decode = { bytes in
      guard let bytes else { throw NotDecodable("it is null") }
      return try decode(bytes)
    }
  }

  private init(
    nullable encode: @escaping @Sendable (Value) throws -> ByteBuffer?,
    decode: @escaping @Sendable (ByteBuffer?) throws -> Value
  ) {
    self.encode = encode
    self.decode = decode
  }

  /// The same format where there may be nothing: no key, or a value that deletes the key from a compacted topic.
  ///
  /// ```swift
  /// let profiles = TypedTopic("profiles", key: .string, value: .nullable(.json(Profile.self)))
  /// try await producer.send(profiles, key: "u-17", value: nil)
  /// ```
  public static func nullable<Wrapped>(_ coder: RecordCoder<Wrapped>) -> RecordCoder where Value == Wrapped? {
    RecordCoder(
      nullable: { try $0.flatMap(coder.encode) }, decode: { bytes in try bytes.map { try coder.decode($0) } })
  }
}

/// Why bytes are not of the type that was expected.
struct NotDecodable: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

// MARK: The formats of Kafka's serializers

extension RecordCoder where Value == String {
  /// UTF-8.
  public static var string: RecordCoder {
    RecordCoder {
      ByteBuffer(string: $0)
    } decode: { bytes in
      guard let text = String(validating: bytes.readableBytesView, as: UTF8.self) else {
        throw NotDecodable("it is not UTF-8")
      }
      return text
    }
  }
}

extension RecordCoder where Value == ByteBuffer {
  /// The bytes as they are.
  public static var bytes: RecordCoder {
    RecordCoder {
      $0
    } decode: {
      $0
    }
  }
}

extension RecordCoder where Value == [UInt8] {
  /// The bytes as they are.
  public static var byteArray: RecordCoder {
    RecordCoder {
      ByteBuffer(bytes: $0)
    } decode: {
      Array($0.readableBytesView)
    }
  }
}

extension RecordCoder where Value: FixedWidthInteger & Sendable {
  /// Big-endian, in as many bytes as the type has: `Int64` is what Kafka's `LongSerializer` writes, `Int32` its
  /// `IntegerSerializer`, `Int16` its `ShortSerializer`.
  public static var integer: RecordCoder {
    RecordCoder {
      ByteBuffer(integer: $0)
    } decode: { bytes in
      try bytes.fixedWidth(Value.self)
    }
  }
}

extension RecordCoder where Value == Double {
  /// IEEE 754, big-endian, as Kafka's `DoubleSerializer` writes it.
  public static var double: RecordCoder {
    RecordCoder {
      ByteBuffer(integer: $0.bitPattern)
    } decode: { bytes in
      Double(bitPattern: try bytes.fixedWidth(UInt64.self))
    }
  }
}

extension ByteBuffer {
  fileprivate func fixedWidth<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
    guard readableBytes == MemoryLayout<Number>.size, let number = getInteger(at: readerIndex, as: Number.self) else {
      throw NotDecodable("it has \(readableBytes) bytes, \(Number.self) has \(MemoryLayout<Number>.size)")
    }
    return number
  }
}
