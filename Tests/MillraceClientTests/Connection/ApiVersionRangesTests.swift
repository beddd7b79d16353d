import MillraceProtocol
import Testing

@testable import MillraceClient

@Suite struct ApiVersionRangesTests {
  private func ranges(_ key: ApiKey, _ versions: ClosedRange<Int16>) -> ApiVersionRanges {
    var ranges = ApiVersionRanges()
    ranges[key] = versions
    return ranges
  }

  @Test func `the version is the highest that both sides speak`() {
    #expect(ranges(.metadata, 0...7).version(of: MetadataRequest.self) == 7)
    #expect(ranges(.metadata, 0...99).version(of: MetadataRequest.self) == MetadataRequest.validVersions.upperBound)
  }

  @Test func `a limit of the caller counts too`() {
    #expect(ranges(.produce, 0...13).version(of: ProduceRequest.self, upTo: 12) == 12)
  }

  @Test func `there is no version where the ranges do not meet`() {
    #expect(ranges(.produce, 0...2).version(of: ProduceRequest.self) == nil)
    #expect(ranges(.produce, 50...60).version(of: ProduceRequest.self) == nil)
    #expect(ApiVersionRanges().version(of: ProduceRequest.self) == nil)
  }

  @Test func `a version that is still in the making is not used`() {
    #expect(InitProducerIdRequest.latestVersionIsUnstable)
    let version = ranges(.initProducerId, 0...6).version(of: InitProducerIdRequest.self)
    #expect(version == InitProducerIdRequest.validVersions.upperBound - 1)
  }

  @Test func `a range that is upside down counts as none`() {
    let response = ApiVersionsResponse(apiKeys: [.init(apiKey: ApiKey.metadata.rawValue, minVersion: 5, maxVersion: 2)])
    #expect(ApiVersionRanges(response)[.metadata] == nil)
  }
}
