// What comes before every message.
//
//     request v1    api key int16 | api version int16 | correlation id int32 | client id nullable string
//     request v2    the same, client id still with the int16 length, then tagged fields
//     response v0   correlation id int32          v1   the same, then tagged fields
//
// Which one it is follows from the API and its version, so a request names its own header's version.

import NIOCore

extension RequestHeader {
  public init(apiKey: ApiKey, apiVersion: Int16, correlationId: Int32, clientId: String?) {
    self.init(
      requestApiKey: apiKey.rawValue, requestApiVersion: apiVersion, correlationId: correlationId, clientId: clientId)
  }

  public var apiKey: ApiKey { ApiKey(rawValue: requestApiKey) }
  public var apiVersion: Int16 { requestApiVersion }

  /// Reads a header and leaves the reader at the request. The version may be one that we do not serve: its number is
  /// what ApiVersions answers to, so judging it is left to the caller. An unknown API is an error, since nothing can
  /// be known of its header.
  public static func read(from reader: inout MessageReader) throws(ProtocolError) -> RequestHeader {
    var ahead = reader
    let key = try ahead.readInt16()
    let version = try ahead.readInt16()
    guard let api = Api[ApiKey(rawValue: key)] else { throw .unknownApi(key) }
    return try RequestHeader(from: &reader, version: api.requestHeaderVersion(version))
  }
}
