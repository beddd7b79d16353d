// What coders write and read, and what they say of bytes that are something else.

import Foundation
import MillraceJSON
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct RecordCoderTests {
  private struct Order: Codable, Sendable, Equatable {
    var id: String
    var total: Double
    var placed: Date?
  }

  private func bytes<Value>(_ value: Value, _ coder: RecordCoder<Value>) throws -> [UInt8]? {
    try coder.encode(value).map { Array($0.readableBytesView) }
  }

  @Test func `the formats are those of Kafka's serializers`() throws {
    #expect(try bytes("né", .string) == [0x6E, 0xC3, 0xA9])
    #expect(try bytes(Int64(-2), .integer) == [255, 255, 255, 255, 255, 255, 255, 254])
    #expect(try bytes(Int32(0x0102_0304), .integer) == [1, 2, 3, 4])
    #expect(try bytes(Int16(258), .integer) == [1, 2])
    #expect(try bytes(1.5, .double) == [0x3F, 0xF8, 0, 0, 0, 0, 0, 0])
    #expect(try bytes([1, 2], .byteArray) == [1, 2])
    #expect(try bytes(ByteBuffer(bytes: [7]), .bytes) == [7])
  }

  @Test func `what was written is read again`() throws {
    #expect(try RecordCoder.string.decode(RecordCoder.string.encode("né")) == "né")
    let integer = RecordCoder<Int64>.integer
    for number in [Int64.min, -1, 0, .max] { #expect(try integer.decode(integer.encode(number)) == number) }
    #expect(try RecordCoder.double.decode(RecordCoder.double.encode(-0.1)) == -0.1)
    let order = Order(id: "o-1", total: 12.5, placed: Date(timeIntervalSinceReferenceDate: 1))
    let json = RecordCoder<Order>.json()
    #expect(try json.decode(json.encode(order)) == order)
  }

  @Test func `JSON is written in one way`() throws {
    let text = try RecordCoder<Order>.json().encode(Order(id: "a/b", total: 1, placed: nil)).map { String(buffer: $0) }
    #expect(text == #"{"id":"a/b","total":1}"#)
  }

  @Test func `JSON is written as the application's encoder says`() throws {
    let coder = RecordCoder<Order>.json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      encoder.dateEncodingStrategy = .secondsSince1970
      return encoder
    } decoder: {
      let decoder = JSONDecoder()
      decoder.dateDecodingStrategy = .secondsSince1970
      return decoder
    }
    let order = Order(id: "1", total: 2, placed: Date(timeIntervalSince1970: 3))
    #expect(try coder.encode(order).map { String(buffer: $0) } == #"{"id":"1","placed":3,"total":2}"#)
    #expect(try coder.decode(coder.encode(order)) == order)
  }

  @Test func `null is a value only where that is said`() throws {
    let coder = RecordCoder.nullable(RecordCoder.string)
    #expect(try coder.encode(nil) == nil)
    #expect(try coder.decode(nil) == nil)
    #expect(try coder.decode(ByteBuffer(string: "a")) == "a")
    #expect(throws: NotDecodable.self) { try RecordCoder.string.decode(nil) }
  }

  @Test func `bytes of another type are refused`() throws {
    #expect(throws: NotDecodable.self) { try RecordCoder.string.decode(ByteBuffer(bytes: [0xFF])) }
    #expect(throws: NotDecodable.self) { try RecordCoder<Int64>.integer.decode(ByteBuffer(bytes: [1, 2, 3, 4])) }
    #expect(throws: NotDecodable.self) { try RecordCoder<Int32>.integer.decode(ByteBuffer(bytes: [])) }
    #expect(throws: (any Error).self) { try RecordCoder<Order>.json().decode(ByteBuffer(string: "{}")) }
  }

  @Test func `a value that cannot be written is told with its topic`() throws {
    let topic = TypedTopic("measurements", key: .string, value: .json(Double.self))
    do throws(KafkaError) {
      _ = try topic.record(key: "a", value: .infinity)
      Issue.record("infinity is no JSON")
    } catch {
      #expect(error.code == .invalidArgument && !error.isRetriable)
      #expect(error.message.contains("value") && error.message.contains("measurements"))
    }
  }
}
