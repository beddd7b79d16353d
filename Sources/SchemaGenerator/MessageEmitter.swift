// Writes the Swift of one message: a struct that serves all versions, with its structs nested in it flat.
//
// A version check is written only where a field is missing from some version of its struct, and the `flexible`
// constant only where something depends on it. Whatever can be a call into the runtime is one: the generated code
// is compiled on every build, so its size is what a build costs.

import MessageSchema

struct MessageEmitter {
  let message: MessageSchema

  static func emit(_ message: MessageSchema, into source: inout SourceText) {
    MessageEmitter(message: message).emit(into: &source)
  }

  private func emit(into source: inout SourceText) {
    source.line("/// \(summary)")
    source.block("public struct \(message.name): \(conformance) {") { body in
      emitConstants(into: &body)
      emitStruct(name: message.name, versions: message.versions, fields: message.fields, into: &body)
      for structure in message.structs {
        body.line()
        body.block("public struct \(structure.name): Message {") { nested in
          emitStruct(name: structure.name, versions: structure.versions, fields: structure.fields, into: &nested)
        }
      }
    }
  }

  private var summary: String {
    let versions = message.versions
    let range =
      versions.count == 1
      ? "version \(versions.lowerBound)" : "versions \(versions.lowerBound) to \(versions.upperBound)"
    return switch message.kind {
    case .request, .response: "API \(message.apiKey ?? -1), \(range)."
    case .key, .value, .record: "Record type \(message.apiKey ?? -1), \(range)."
    case .message: "\(range.prefix(1).uppercased())\(range.dropFirst())."
    }
  }

  private var conformance: String {
    switch message.kind {
    case .request: "Request"
    case .response: "ResponseMessage"
    case .key, .value, .record: "RecordMessage"
    case .message: "VersionedMessage"
    }
  }

  private var apiName: String {
    String(message.name.dropLast(message.kind.rawValue.count))
  }

  private func emitConstants(into source: inout SourceText) {
    switch message.kind {
    case .request:
      source.line("public typealias Response = \(apiName)Response")
      source.line("public static var apiKey: ApiKey { .\(apiName.lowerCamelCase) }")
      source.line("public static var latestVersionIsUnstable: Bool { \(message.latestVersionIsUnstable) }")
    case .response:
      source.line("public static var apiKey: ApiKey { .\(apiName.lowerCamelCase) }")
    case .key, .value, .record:
      source.line("public static var apiKey: Int16 { \(message.apiKey ?? -1) }")
    case .message: break
    }
    source.line("public static var validVersions: ClosedRange<Int16> { \(message.versions.literal) }")
    let flexible = message.flexibleVersions.map(\.literal) ?? "nil"
    source.line("public static var flexibleVersions: ClosedRange<Int16>? { \(flexible) }")
    source.line()
  }

  private func emitStruct(name: String, versions: VersionRange, fields: [FieldSchema], into source: inout SourceText) {
    let emitter = StructEmitter(
      message: message, name: name, versions: versions, fields: fields, isTopLevel: name == message.name)
    emitter.emit(into: &source)
  }
}

extension ClosedRange<Int16> {
  var literal: String { "\(lowerBound)...\(upperBound)" }
}
