// The parsed schemas, and the messages they stand for.

import Foundation
import MessageSchema
import MillraceProtocol

enum Schemas {
  static let packageRoot = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static let folder = packageRoot.appending(path: "Sources/MillraceProtocol/Schemas")

  static func messages() throws -> [MessageSchema] {
    let paths = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
    var result: [MessageSchema] = []
    for path in paths.sorted() where path.hasSuffix(".schema") && path != "ErrorCodes.schema" {
      let url = folder.appending(path: path)
      let name = url.deletingPathExtension().lastPathComponent
      result += try SchemaParser.parse(String(contentsOf: url, encoding: .utf8), fileName: name)
    }
    return result
  }

  /// The generated type of each message, by name.
  static let types: [String: any VersionedMessage.Type] = Dictionary(
    uniqueKeysWithValues: MessageCatalog.everything.map { ("\($0)", $0) })
}
