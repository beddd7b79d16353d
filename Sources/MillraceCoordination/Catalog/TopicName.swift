// Which names a topic may have. A name becomes the name of a directory and of metrics, hence the narrow alphabet, and
// hence '.' and '_' count as the same sign when two topics are compared: metrics write both as '_'.

package enum TopicName {
  package static let maxLength = 249
  /// The metadata journal's own log; never a topic.
  package static let clusterMetadata = "__cluster_metadata"
  package static let consumerOffsets = "__consumer_offsets"
  package static let transactionState = "__transaction_state"
  package static let shareGroupState = "__share_group_state"

  package static func isInternal(_ name: String) -> Bool {
    name == consumerOffsets || name == transactionState || name == shareGroupState
  }

  /// Why the name is not allowed, or nothing.
  package static func objection(to name: String) -> String? {
    if name.isEmpty { return "A topic name cannot be empty." }
    if name == "." || name == ".." { return "A topic name cannot be '.' or '..'." }
    if name.utf8.count > maxLength {
      return "A topic name cannot be longer than \(maxLength) characters; this one has \(name.utf8.count): '\(name)'."
    }
    if !name.utf8.allSatisfy(isLegal) {
      return "Topic name '\(name)' has a character other than ASCII letters and digits, '.', '_' and '-'."
    }
    return nil
  }

  /// The form in which colliding names are equal; `nil` for a name that cannot collide.
  package static func collisionForm(_ name: String) -> String? {
    guard name.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") }) else { return nil }
    return String(name.map { $0 == "." ? "_" : $0 })
  }

  private static func isLegal(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
}
