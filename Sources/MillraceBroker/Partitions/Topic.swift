// A topic as the request handlers see it: an immutable snapshot. A change of its partitions or configs makes a new one
// that shares the same Partition objects.

import MillraceLog
import MillraceProtocol
import MillraceRecords

package final class Topic: Sendable {
  package let name: String
  package let id: Uuid
  package let isInternal: Bool
  package let settings: TopicSettings
  package let partitions: [Partition]

  package init(name: String, id: Uuid, isInternal: Bool, settings: TopicSettings, partitions: [Partition]) {
    self.name = name
    self.id = id
    self.isInternal = isInternal
    self.settings = settings
    self.partitions = partitions
  }

  package func partition(_ index: Int32) -> Partition? {
    index >= 0 && Int(index) < partitions.count ? partitions[Int(index)] : nil
  }
}

extension Topic? {
  /// The entries about partitions that exist, and those about others; without the topic none exists.
  func split<Entry>(_ entries: [Entry], by index: (Entry) -> Int32) -> (existing: [Entry], missing: [Entry]) {
    var parts: (existing: [Entry], missing: [Entry]) = ([], [])
    for entry in entries {
      if self?.partition(index(entry)) != nil { parts.existing.append(entry) } else { parts.missing.append(entry) }
    }
    return parts
  }
}

/// What the handlers need to know of a topic's configs beyond what the log itself obeys.
package struct TopicSettings: Sendable {
  /// What a produced batch is held to: `max.message.bytes`, `compression.type`, `message.timestamp.*`, …
  package var produceRules: ProduceRules
  /// `cleanup.policy` contains "delete".
  package var isDeleted: Bool
  /// `min.insync.replicas`
  package var minInsyncReplicas: Int32

  /// `errors.deadletterqueue.group.enable`
  package var takesDeadLetters: Bool

  package init(
    produceRules: ProduceRules = ProduceRules(), isDeleted: Bool = true, minInsyncReplicas: Int32 = 1,
    takesDeadLetters: Bool = false
  ) {
    self.produceRules = produceRules
    self.isDeleted = isDeleted
    self.minInsyncReplicas = minInsyncReplicas
    self.takesDeadLetters = takesDeadLetters
  }
}
