// A tagged field that this release does not know: kept as it came, so that what passes through is not stripped.

import NIOCore

public struct TaggedField: Sendable, Equatable {
  public var tag: UInt32
  public var data: ByteBuffer

  public init(tag: UInt32, data: ByteBuffer) {
    self.tag = tag
    self.data = data
  }
}
