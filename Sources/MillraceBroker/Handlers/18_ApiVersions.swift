// ApiVersions, key 18.
//
// v3 flexible; the client's name and version; features (KIP-511, KIP-584)   v4 features that begin at version 0
//
// The response header is always version 0. A version that is not known is answered by the dispatcher in version 0.

import MillraceProtocol

struct ApiVersionsHandler: Handler {
  func handle(_ request: ApiVersionsRequest, _ context: RequestContext, _ reply: Reply<ApiVersionsResponse>) {
    let broker = context.broker
    if context.version >= 3 {
      guard Self.isLegal(request.clientSoftwareName), Self.isLegal(request.clientSoftwareVersion) else {
        return reply.send(ApiVersionsResponse(errorCode: ErrorCode.invalidRequest.rawValue))
      }
      context.connection.software = .init(name: request.clientSoftwareName, version: request.clientSoftwareVersion)
    }
    var response = ApiVersionsResponse(apiKeys: broker.announcedVersions)
    if context.version >= 3 {
      let features = broker.catalog.features
      // A feature that begins at level 0 makes clients before version 4 fail (KIP-584).
      response.supportedFeatures = features.supported.filter { $0.minVersion > 0 || context.version >= 4 }
      response.finalizedFeatures = features.finalized
      response.finalizedFeaturesEpoch = features.epoch
    }
    reply.send(response)
  }

  /// Letters, digits, '-' and '.', beginning and ending with a letter or digit (KIP-511).
  static func isLegal(_ name: String) -> Bool {
    func isAlphanumeric(_ byte: UInt8) -> Bool {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: false
      }
    }
    guard let first = name.utf8.first, let last = name.utf8.last else { return false }
    return isAlphanumeric(first) && isAlphanumeric(last)
      && name.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
  }
}
