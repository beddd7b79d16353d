// `meta.properties` of a data directory and `partition.metadata` of a partition: lines of a name, a mark and a value.

/// What makes a directory a data directory of one broker of one cluster, as KRaft writes it.
///
///     version=1
///     node.id=1
///     cluster.id=4L6g3nShT-eMCtK--X86sw
///     directory.id=8QZ2n0mZRcCy1g5b8rJk1w
struct MetaProperties: Sendable, Equatable {
  static let fileName = "meta.properties"

  var brokerId: Int32
  var clusterId: String
  var directoryId: String

  var fileContent: [UInt8] {
    Array("version=1\nnode.id=\(brokerId)\ncluster.id=\(clusterId)\ndirectory.id=\(directoryId)\n".utf8)
  }

  init(brokerId: Int32, clusterId: String, directoryId: String) {
    self.brokerId = brokerId
    self.clusterId = clusterId
    self.directoryId = directoryId
  }

  /// Nil when the file lacks one of the names. Files of version 0 call the broker `broker.id`.
  init?(fileContent: [UInt8], newDirectoryId: @autoclosure () -> String) {
    let values = Properties.read(fileContent, mark: "=")
    guard let node = values["node.id"] ?? values["broker.id"], let brokerId = Int32(node),
      let clusterId = values["cluster.id"], !clusterId.isEmpty
    else { return nil }
    self.init(
      brokerId: brokerId, clusterId: clusterId, directoryId: values["directory.id"] ?? newDirectoryId())
  }
}

/// Which topic a partition directory belongs to (KIP-516).
///
///     version: 0
///     topic_id: 4L6g3nShT-eMCtK--X86sw
enum PartitionMetadata {
  static func encode(_ topicId: TopicID) -> [UInt8] { Array("version: 0\ntopic_id: \(topicId)".utf8) }

  static func decode(_ content: [UInt8]) -> TopicID? {
    let values = Properties.read(content, mark: ":")
    guard values["version"] == "0" else { return nil }
    return values["topic_id"].flatMap { TopicID($0) }
  }
}

private enum Properties {
  static func read(_ content: [UInt8], mark: Character) -> [String: String] {
    var values: [String: String] = [:]
    for line in String(decoding: content, as: UTF8.self).split(whereSeparator: \.isNewline) where line.first != "#" {
      guard let at = line.firstIndex(of: mark) else { continue }
      values[trimmed(line[..<at])] = trimmed(line[line.index(after: at)...])
    }
    return values
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text.drop(while: \.isWhitespace)
    while text.last?.isWhitespace == true { text.removeLast() }
    return String(text)
  }
}
