// A topic as the catalog knows it. One broker leads every partition, so all that a partition is beside its number is
// its leader epoch.

import MillraceProtocol

package struct CatalogTopic: Sendable, Equatable {
  package let name: String
  package let id: Uuid
  /// By partition: the leader epoch less the number of unclean starts that the partition has seen (see `Catalog`).
  var epochBases: [Int32] = []

  package var partitionCount: Int { epochBases.count }
  package var isInternal: Bool { TopicName.isInternal(name) }

  package init(name: String, id: Uuid) {
    self.name = name
    self.id = id
  }
}

/// Something that has configs. The codes are those of ConfigResource.Type.
package struct ConfigResource: Hashable, Sendable {
  package enum Kind: Int8, Sendable, CaseIterable {
    case topic = 2
    case broker = 4
    case brokerLogger = 8
    case clientMetrics = 16
    case group = 32
  }

  package let kind: Kind
  /// A broker resource without a name is the default of all brokers.
  package let name: String

  package init(_ kind: Kind, _ name: String) {
    self.kind = kind
    self.name = name
  }

  package static func topic(_ name: String) -> ConfigResource { ConfigResource(.topic, name) }
}
