// The features of the cluster (KIP-584), which tools show and UpdateFeatures moves between their levels:
//
//   metadata.version      which metadata records may be written; levels and names are Kafka's, 3.3-IV3 to 4.2-IV1
//   group.version         1: the consumer protocol (KIP-848)
//   share.version         1: share groups (KIP-932)
//   transaction.version   1: tagged fields in transaction records, 2: an epoch for every transaction (KIP-890)

import MillraceProtocol

package enum MetadataVersion {
  package static let featureName = "metadata.version"

  /// 3.3-IV3, the lowest that Kafka 4.2 supports.
  package static let minimum: Int16 = 7
  /// 4.2-IV1, what a new cluster begins with.
  package static let latest: Int16 = 29

  /// The levels that changed what is written, so that a downgrade across one would lose something.
  static let levelsThatChangedRecords: Set<Int16> = [7, 8, 11, 13, 14, 15, 17, 23]

  package static let names: [Int16: String] = [
    7: "3.3-IV3", 8: "3.4-IV0", 9: "3.5-IV0", 10: "3.5-IV1", 11: "3.5-IV2", 12: "3.6-IV0", 13: "3.6-IV1",
    14: "3.6-IV2", 15: "3.7-IV0", 16: "3.7-IV1", 17: "3.7-IV2", 18: "3.7-IV3", 19: "3.7-IV4", 20: "3.8-IV0",
    21: "3.9-IV0", 22: "4.0-IV0", 23: "4.0-IV1", 24: "4.0-IV2", 25: "4.0-IV3", 26: "4.1-IV0", 27: "4.1-IV1",
    28: "4.2-IV0", 29: "4.2-IV1",
  ]
}

package enum GroupVersion {
  package static let featureName = "group.version"
  package static let latest: Int16 = 1
  package static let range: ClosedRange<Int16> = 0...latest
  /// The level from which on there are groups of the consumer protocol.
  package static let consumerProtocol: Int16 = 1
}

package enum ShareVersion {
  package static let featureName = "share.version"
  package static let latest: Int16 = 1
  package static let range: ClosedRange<Int16> = 0...latest
  /// The level from which on there are share groups.
  package static let shareGroups: Int16 = 1
}

/// What ApiVersions says of features.
package struct FeatureSummary: Sendable, Equatable {
  package var supported: [ApiVersionsResponse.SupportedFeatureKey]
  package var finalized: [ApiVersionsResponse.FinalizedFeatureKey]
  package var epoch: Int64
}

extension Catalog {
  package static let supportedFeatures: [String: ClosedRange<Int16>] = [
    MetadataVersion.featureName: MetadataVersion.minimum...MetadataVersion.latest,
    GroupVersion.featureName: GroupVersion.range,
    ShareVersion.featureName: ShareVersion.range,
    TransactionVersion.featureName: TransactionVersion.range,
  ]

  /// The level of the feature transaction.version; 0 in a cluster that is older than the feature.
  package var transactionVersion: Int16 { featureLevels[TransactionVersion.featureName] ?? 0 }

  /// The level of the feature group.version; 0 in a cluster that is older than the feature.
  package var groupVersion: Int16 { featureLevels[GroupVersion.featureName] ?? 0 }

  /// The level of the feature share.version; 0 in a cluster that is older than the feature.
  package var shareVersion: Int16 { featureLevels[ShareVersion.featureName] ?? 0 }

  package var features: FeatureSummary {
    let supported = Self.supportedFeatures.sorted { $0.key < $1.key }.map { name, range in
      ApiVersionsResponse.SupportedFeatureKey(name: name, minVersion: range.lowerBound, maxVersion: range.upperBound)
    }
    let finalized = featureLevels.filter { Self.supportedFeatures[$0.key] != nil }.sorted { $0.key < $1.key }
    return FeatureSummary(
      supported: supported,
      finalized: finalized.map { name, level in
        ApiVersionsResponse.FinalizedFeatureKey(name: name, maxVersionLevel: level, minVersionLevel: level)
      },
      epoch: featuresEpoch)
  }
}
