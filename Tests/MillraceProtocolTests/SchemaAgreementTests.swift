// The schemas against Kafka's own definitions: field by field, version by version.

import MessageSchema
import MillraceProtocol
import Testing

@Suite(.enabled(if: ProtocolData.found != nil, "Kafka's definitions are not beside the package"))
struct SchemaAgreementTests {
  private let data: ProtocolData

  init() throws {
    data = try #require(ProtocolData.found)
  }

  @Test func `there is a schema for every message a broker serves or stores, and no other`() throws {
    let definitions = try data.definitions()
    let served = Set(definitions.filter { $0.kind == "request" }.compactMap(\.apiKey))
    #expect(served.count == 77)
    let expected = definitions.filter { $0.kind != "response" || served.contains($0.apiKey ?? -1) }
    #expect(Set(expected.map(\.name)) == Set(try Schemas.messages().map(\.name)))
  }

  @Test func `every field of every version is the one that Kafka defines`() throws {
    let definitions = Dictionary(uniqueKeysWithValues: try data.definitions().map { ($0.name, $0) })
    for message in try Schemas.messages() {
      let definition = try #require(definitions[message.name])
      #expect(message.apiKey.map(Int.init) == definition.apiKey, "\(message.name)")
      #expect(message.versions == Int16(definition.versions.lowerBound)...Int16(definition.versions.upperBound))
      #expect(message.latestVersionIsUnstable == definition.latestVersionIsUnstable, "\(message.name)")
      for version in definition.versions {
        let flexible = definition.flexibleVersions?.contains(version) ?? false
        #expect(message.isFlexible(Int16(version)) == flexible, "\(message.name) \(version)")
        let fields = described(message.fields, of: message, version: Int16(version))
        #expect(fields == definition.fields(version: version), "\(message.name) version \(version)")
      }
    }
  }

  private func described(
    _ fields: [FieldSchema], of message: MessageSchema, version: Int16
  ) -> [KafkaDefinition.Field] {
    fields.filter { $0.versions.contains(version) }.map { field in
      let nested = field.type.structName.map { message.fields(of: $0) } ?? []
      return KafkaDefinition.Field(
        name: field.name, type: field.type.text, isNullable: field.nullableVersions?.contains(version) ?? false,
        tag: field.tag.map(Int.init), isKey: field.isKey, isIgnorable: field.isIgnorable, isPlain: field.isPlain,
        defaultText: field.defaultText, fields: described(nested, of: message, version: version))
    }
  }

  @Test func `every error code has Kafka's number, name and advice`() throws {
    let codes = try data.errorCodes()
    #expect(codes.count > 100)
    for (code, name, isRetriable) in codes {
      #expect(ErrorCode(rawValue: code).name == name)
      #expect(ErrorCode(rawValue: code).isRetriable == isRetriable, "\(name)")
    }
    let last = try #require(codes.map(\.code).max())
    #expect(ErrorCode(rawValue: last + 1).name == "UNKNOWN(\(last + 1))")
  }
}

extension FieldType {
  fileprivate var text: String {
    switch self {
    case .structure(let name): name
    case .array(let element): "[\(element.text)]"
    default: "\(self)"
    }
  }
}
