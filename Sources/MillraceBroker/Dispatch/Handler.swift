// A handler serves one API. There is one file for each in Handlers/, named by API key.
//
// Handlers run on the connection's event loop, in the order of the connection's requests, and must not block: what
// waits (for a commit, for records, for a group) keeps the reply and answers later from any thread.

import MillraceProtocol

package protocol Handler: Sendable {
  associatedtype Incoming: Request

  /// The versions served. ApiVersions announces them.
  static var versions: ClosedRange<Int16> { get }

  init()
  func handle(_ request: Incoming, _ context: RequestContext, _ reply: Reply<Incoming.Response>)
}

extension Handler {
  package static var versions: ClosedRange<Int16> { Incoming.stableVersions }
}

extension Request {
  /// The valid versions without an unstable latest one.
  package static var stableVersions: ClosedRange<Int16> {
    guard latestVersionIsUnstable, validVersions.lowerBound < validVersions.upperBound else { return validVersions }
    return validVersions.lowerBound...(validVersions.upperBound - 1)
  }
}

/// A handler without its types: what the dispatcher calls.
package struct Route: Sendable {
  package let apiKey: ApiKey
  package let versions: ClosedRange<Int16>
  let run: @Sendable (inout MessageReader, RequestContext, any ResponseSlot) throws(ProtocolError) -> Void

  init<H: Handler>(_ type: H.Type) {
    apiKey = H.Incoming.apiKey
    versions = H.versions
    let handler = H()
    run = { (reader, context, slot) throws(ProtocolError) in
      let request = try H.Incoming(from: &reader, version: context.version)
      handler.handle(request, context, Reply(slot: slot, context: context))
    }
  }
}
