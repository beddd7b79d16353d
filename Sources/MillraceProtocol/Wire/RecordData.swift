// The `records` of a Produce or Fetch: opaque here. Read, it is a slice of the frame. Written, it is either bytes, or
// a splice point: the length is written, and the transport puts the bytes of extent `id` there later, so that this
// module never learns of files.

import NIOCore

public enum RecordData: Sendable, Equatable {
  case bytes(ByteBuffer)
  case splice(id: Int, byteCount: Int)

  public var byteCount: Int {
    switch self {
    case .bytes(let buffer): buffer.readableBytes
    case .splice(_, let byteCount): byteCount
    }
  }
}

/// Where in a written buffer the bytes of an extent belong.
public struct Splice: Sendable, Equatable {
  /// How many bytes of the buffer come before it.
  public var offset: Int
  public var id: Int
  public var byteCount: Int

  public init(offset: Int, id: Int, byteCount: Int) {
    self.offset = offset
    self.id = id
    self.byteCount = byteCount
  }
}
