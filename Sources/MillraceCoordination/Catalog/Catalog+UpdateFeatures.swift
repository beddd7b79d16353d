// UpdateFeatures (KIP-584, KIP-778). All updates of a request are taken or none is.

import MillraceProtocol

extension Catalog {
  private enum UpgradeType: Int8 {
    case upgrade = 1
    case safeDowngrade = 2
    case unsafeDowngrade = 3
  }

  package func decide(
    _ request: UpdateFeaturesRequest, version: Int16
  ) -> CatalogDecision<UpdateFeaturesResponse> {
    let occurrences = Dictionary(request.featureUpdates.map { ($0.feature, 1) }, uniquingKeysWith: +)
    var records: [MetadataRecord] = []
    var failure: CatalogError?
    var response = UpdateFeaturesResponse()
    for update in request.featureUpdates {
      var result = UpdateFeaturesResponse.UpdatableFeatureResult(feature: update.feature)
      do throws(CatalogError) {
        guard occurrences[update.feature] == 1 else {
          throw CatalogError(.invalidRequest, "Feature '\(update.feature)' is in the request more than once.")
        }
        // Version 0 knows upgrades and, with a flag, downgrades.
        let type = version == 0 ? (update.allowDowngrade ? 2 : 1) : update.upgradeType
        if let record = try change(update.feature, to: update.maxVersionLevel, upgradeType: type) {
          records.append(record)
        }
      } catch {
        result.errorCode = error.code.rawValue
        result.errorMessage = error.message
        failure = failure ?? error
      }
      response.results.append(result)
    }
    if let failure {
      response.errorCode = failure.code.rawValue
      response.errorMessage = failure.message
      for index in response.results.indices where response.results[index].errorCode == 0 {
        response.results[index].errorCode = failure.code.rawValue
        response.results[index].errorMessage = "Not done, since another update of the request was refused."
      }
    }
    // From version 2 on there is one answer for the whole request.
    if version >= 2 { response.results = [] }
    return CatalogDecision(failure == nil && !request.validateOnly ? records : [], answer: response)
  }

  private func change(
    _ feature: String, to level: Int16, upgradeType: Int8
  ) throws(CatalogError) -> MetadataRecord? {
    guard let type = UpgradeType(rawValue: upgradeType) else {
      throw CatalogError(.invalidRequest, "Upgrade type \(upgradeType) is not known.")
    }
    guard let supported = Self.supportedFeatures[feature] else {
      throw CatalogError(.invalidUpdateVersion, "Feature '\(feature)' is not supported by this broker.")
    }
    guard supported.contains(level) else {
      throw CatalogError(
        .invalidUpdateVersion,
        "Feature '\(feature)' can be set to \(supported.lowerBound) to \(supported.upperBound), not to \(level).")
    }
    let current = featureLevels[feature] ?? 0
    if level == current { return nil }
    guard level > current || type != .upgrade else {
      throw CatalogError(
        .invalidUpdateVersion,
        "Feature '\(feature)' is at \(current); going down to \(level) has to be asked for as a downgrade.")
    }
    guard level < current || type == .upgrade else {
      throw CatalogError(
        .invalidUpdateVersion, "Feature '\(feature)' is at \(current); \(level) would be an upgrade, not a downgrade.")
    }
    let lost = MetadataVersion.levelsThatChangedRecords.filter { $0 > level && $0 <= current }.min()
    if feature == MetadataVersion.featureName, let lost {
      throw CatalogError(
        .invalidUpdateVersion,
        "Feature '\(feature)' cannot go down past \(lost) (\(MetadataVersion.names[lost] ?? "")): the records changed."
      )
    }
    return .featureLevel(FeatureLevelRecord(name: feature, featureLevel: level))
  }
}
