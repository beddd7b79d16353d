// Which versions of which APIs a broker speaks, and the version to use with it: the highest that both sides know.

import MillraceProtocol

struct ApiVersionRanges: Sendable, Equatable {
  private var ranges: [ApiKey: ClosedRange<Int16>] = [:]
  var supportedFeatures: [String: ClosedRange<Int16>] = [:]
  var finalizedFeatures: [String: Int16] = [:]

  init() {}

  init(_ response: ApiVersionsResponse) {
    for api in response.apiKeys where api.minVersion <= api.maxVersion {
      ranges[ApiKey(rawValue: api.apiKey)] = api.minVersion...api.maxVersion
    }
    for feature in response.supportedFeatures where feature.minVersion <= feature.maxVersion {
      supportedFeatures[feature.name] = feature.minVersion...feature.maxVersion
    }
    for feature in response.finalizedFeatures {
      finalizedFeatures[feature.name] = feature.maxVersionLevel
    }
  }

  subscript(key: ApiKey) -> ClosedRange<Int16>? {
    get { ranges[key] }
    set { ranges[key] = newValue }
  }

  /// All ranges in the order of their keys.
  var all: [(key: ApiKey, versions: ClosedRange<Int16>)] {
    ranges.sorted { $0.key.rawValue < $1.key.rawValue }.map { (key: $0.key, versions: $0.value) }
  }

  /// The highest version of a request that both sides speak, up to `limit`; nil when there is none.
  func version<R: Request>(of request: R.Type, upTo limit: Int16 = .max) -> Int16? {
    guard let theirs = ranges[R.apiKey] else { return nil }
    let ours = R.validVersions
    let newest = R.latestVersionIsUnstable && ours.count > 1 ? ours.upperBound - 1 : ours.upperBound
    let version = min(newest, theirs.upperBound, limit)
    return version >= max(ours.lowerBound, theirs.lowerBound) ? version : nil
  }
}
