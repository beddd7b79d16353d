// A partition by topic and number. On disk a partition is the directory `<topic>-<partition>`.

package struct PartitionID: Hashable, Sendable, CustomStringConvertible {
  package var topic: String
  package var partition: Int32

  package init(topic: String, partition: Int32) {
    self.topic = topic
    self.partition = partition
  }

  /// The name of the directory.
  package var description: String { "\(topic)-\(partition)" }

  /// The partition whose directory has this name; nil for every name that `description` never gives.
  package init?(directoryName name: String) {
    guard let dash = name.utf8.lastIndex(of: UInt8(ascii: "-")), dash != name.startIndex else { return nil }
    let number = name[name.utf8.index(after: dash)...]
    guard let partition = Int32(number), partition >= 0, String(partition) == number else { return nil }
    self.init(topic: String(name[..<dash]), partition: partition)
  }
}
