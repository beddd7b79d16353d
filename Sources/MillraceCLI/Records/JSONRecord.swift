// Records as JSON, one object a line, written by `consume --format json` and read by `produce --format json`:
//
//   {"topic":"orders","partition":0,"offset":12,"timestamp":1772368200250,"key":"o-1","value":"…","headers":[{"name":"a","value":"b"}]}
//
// A key or value that is not UTF-8 is {"base64":"…"}; null is null. When reading, all members may be missing, `topic`
// and `offset` say nothing, and a value that is an object, a list, a number or a boolean is sent as its JSON text.

import MillraceClient

enum JSONRecord {
  static func parse(_ line: [UInt8], number: Int) throws(RecordFailure) -> OutgoingRecord {
    let value: JSONValue
    do { value = try JSONParser.parse(line) } catch {
      throw RecordFailure(description: "line \(number) is no JSON: \(error)")
    }
    guard case .object(let members) = value else {
      throw RecordFailure(
        description: "line \(number): a record is a JSON object, as in {\"key\":\"a\",\"value\":\"b\"}")
    }
    var record = OutgoingRecord()
    for member in members {
      switch (member.name, member.value) {
      case ("key", let content): record.key = try bytes(content, "key", number)
      case ("value", let content): record.value = try bytes(content, "value", number)
      case ("headers", .array(let list)): for header in list { record.headers.append(try self.header(header, number)) }
      case ("headers", .object(let pairs)):
        for pair in pairs {
          record.headers.append(.init(name: pair.name, value: try bytes(pair.value, "headers", number)))
        }
      case ("headers", .null), ("partition", .null), ("timestamp", .null), ("topic", _), ("offset", _): break
      case ("partition", .integer(let partition)) where (0...Int64(Int32.max)).contains(partition):
        record.partition = Int32(partition)
      case ("timestamp", .integer(let timestamp)) where timestamp >= 0: record.timestamp = timestamp
      case ("partition", _), ("timestamp", _), ("headers", _):
        throw RecordFailure(description: "line \(number): \"\(member.name)\" cannot be \(member.value.text)")
      default: throw RecordFailure(description: "line \(number): \"\(member.name)\" is no member of a record")
      }
    }
    return record
  }

  private static func header(_ value: JSONValue, _ number: Int) throws(RecordFailure) -> OutgoingRecord.Header {
    guard case .string(let name)? = value["name"] ?? value["key"] else {
      throw RecordFailure(description: "line \(number): a header is an object with \"name\" and \"value\"")
    }
    return .init(name: name, value: try bytes(value["value"] ?? .null, "headers", number))
  }

  private static func bytes(_ value: JSONValue, _ member: String, _ number: Int) throws(RecordFailure) -> [UInt8]? {
    switch value {
    case .null: return nil
    case .string(let text): return Array(text.utf8)
    case .object(let members) where members.count == 1 && members[0].name == "base64":
      guard case .string(let text) = members[0].value, let bytes = Base64.decode(text) else {
        throw RecordFailure(description: "line \(number): \"\(member)\" has a \"base64\" that is no Base64")
      }
      return bytes
    default:
      var bytes: [UInt8] = []
      value.append(to: &bytes)
      return bytes
    }
  }
}
