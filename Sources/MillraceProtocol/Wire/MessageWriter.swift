// Writes Kafka's primitive types to a buffer: the mirror of MessageReader, which draws the encodings. Records that are
// a splice leave a length in the buffer and an entry in `splices`, in ascending order of offset.
//
// The bytes go through a pointer into the buffer, which saves the checked accesses that would cost several times the
// write itself. So a writer cannot be copied, and whoever takes the buffer out leaves the writer without room: its
// next write makes room anew, which copies the bytes if the buffer is still held elsewhere.

import NIOCore

public struct MessageWriter: ~Copyable {
  private var storage: ByteBuffer
  /// The first byte of the room behind the storage's writer index.
  private var room: UnsafeMutableRawPointer
  private var capacity: Int
  /// How much of the room is written.
  private var used: Int
  /// Bytes that belong between the buffer's, put there by the transport.
  public private(set) var splices: [Splice] = []

  /// A writer that appends to `buffer`.
  public init(_ buffer: ByteBuffer = ByteBuffer()) {
    storage = buffer
    room = UnsafeMutableRawPointer(bitPattern: 1)!
    capacity = 0
    used = 0
  }

  /// What was written, behind what was in the buffer to begin with.
  public var buffer: ByteBuffer {
    mutating get {
      giveUpRoom()
      return storage
    }
    _modify {
      giveUpRoom()
      yield &storage
    }
  }

  /// How many bytes the buffer holds.
  var bufferByteCount: Int { storage.readableBytes + used }

  /// How many bytes a peer will see, splices included.
  public var byteCount: Int { splices.reduce(bufferByteCount) { $0 + $1.byteCount } }

  // MARK: Room

  private mutating func giveUpRoom() {
    storage.moveWriterIndex(forwardBy: used)
    capacity = 0
    used = 0
  }

  /// Room for `count` bytes, to be written at once.
  @inline(__always)
  private mutating func claim(_ count: Int) -> UnsafeMutableRawPointer {
    if capacity - used < count { makeRoom(count) }
    defer { used += count }
    return room + used
  }

  @inline(never)
  private mutating func makeRoom(_ count: Int) {
    giveUpRoom()
    storage.reserveCapacity(minimumWritableBytes: max(count, Self.smallestRoom))
    (room, capacity) = storage.withUnsafeMutableWritableBytes { bytes in
      (bytes.baseAddress ?? UnsafeMutableRawPointer(bitPattern: 1)!, bytes.count)
    }
  }

  private static let smallestRoom = 64

  // MARK: Going back

  // Places are counted from the buffer's first byte.

  mutating func setByte(_ value: UInt8, at index: Int) {
    let behind = index - storage.readableBytes
    if behind >= 0 {
      room.storeBytes(of: value, toByteOffset: behind, as: UInt8.self)
    } else {
      storage.setInteger(value, at: storage.readerIndex + index)
    }
  }

  mutating func setInt32(_ value: Int32, at index: Int) {
    giveUpRoom()
    storage.setInteger(value, at: storage.readerIndex + index)
  }

  /// Takes back what was written from `index` on. There must be no splice behind it.
  mutating func removeTail(from index: Int) -> ByteBuffer {
    giveUpRoom()
    let place = storage.readerIndex + index
    let tail = storage.getSlice(at: place, length: storage.writerIndex - place) ?? ByteBuffer()
    storage.moveWriterIndex(to: place)
    return tail
  }

  // MARK: Fixed sizes

  @inline(__always)
  private mutating func writeInteger<T: FixedWidthInteger>(_ value: T) {
    claim(MemoryLayout<T>.size).storeBytes(of: value.bigEndian, as: T.self)
  }

  @inline(never)
  public mutating func writeInt8(_ value: Int8) { writeInteger(value) }
  @inline(never)
  public mutating func writeInt16(_ value: Int16) { writeInteger(value) }
  @inline(never)
  public mutating func writeUInt16(_ value: UInt16) { writeInteger(value) }
  @inline(never)
  public mutating func writeInt32(_ value: Int32) { writeInteger(value) }
  @inline(never)
  public mutating func writeUInt32(_ value: UInt32) { writeInteger(value) }
  @inline(never)
  public mutating func writeInt64(_ value: Int64) { writeInteger(value) }
  @inline(never)
  public mutating func writeBool(_ value: Bool) { writeInteger(value ? 1 as UInt8 : 0) }
  @inline(never)
  public mutating func writeFloat64(_ value: Double) { writeInteger(value.bitPattern) }

  @inline(never)
  public mutating func writeUuid(_ value: Uuid) {
    writeInteger(value.high)
    writeInteger(value.low)
  }

  // MARK: Varints

  @inline(never)
  public mutating func writeUnsignedVarint(_ value: UInt32) { writeVarintBits(UInt64(value)) }

  @inline(never)
  public mutating func writeVarint(_ value: Int32) {
    writeVarintBits(UInt64(UInt32(bitPattern: value << 1 ^ value >> 31)))
  }

  @inline(never)
  public mutating func writeVarlong(_ value: Int64) {
    writeVarintBits(UInt64(bitPattern: value << 1 ^ value >> 63))
  }

  @inline(never)
  private mutating func writeVarintBits(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    writeInteger(UInt8(truncatingIfNeeded: rest))
  }

  // MARK: Lengths

  /// The length of bytes, records or an array; nil is null.
  @inline(never)
  mutating func writeLength(_ length: Int?, _ flexible: Bool) throws(ProtocolError) {
    guard let length else {
      if flexible { writeUnsignedVarint(0) } else { writeInt32(-1) }
      return
    }
    guard length < Int32.max else { throw .tooLong(length) }
    if flexible { writeUnsignedVarint(UInt32(length) + 1) } else { writeInt32(Int32(length)) }
  }

  // MARK: Strings

  @inline(never)
  public mutating func writeString(_ value: String, _ flexible: Bool) throws(ProtocolError) {
    let length = value.utf8.count
    guard let short = Int16(exactly: length) else { throw .tooLong(length) }
    if flexible { writeUnsignedVarint(UInt32(length) + 1) } else { writeInt16(short) }
    let room = claim(length)
    let done: Void? = value.utf8.withContiguousStorageIfAvailable { bytes in
      room.copyMemory(from: UnsafeRawPointer(bytes.baseAddress ?? UnsafePointer(bitPattern: 1)!), byteCount: length)
    }
    if done == nil {
      UnsafeMutableRawBufferPointer(start: room, count: length).copyBytes(from: value.utf8)
    }
  }

  @inline(never)
  public mutating func writeNullableString(_ value: String?, _ flexible: Bool) throws(ProtocolError) {
    if let value { return try writeString(value, flexible) }
    if flexible { writeUnsignedVarint(0) } else { writeInt16(-1) }
  }

  @inline(never)
  mutating func writeNullableString(
    _ value: String?, _ flexible: Bool, nullable: Bool, _ field: String, _ version: Int16
  ) throws(ProtocolError) {
    if value == nil, !nullable { throw .nullNotAllowed(field: field, version: version) }
    try writeNullableString(value, flexible)
  }

  // MARK: Bytes and records

  @inline(never)
  public mutating func writeBytes(_ value: ByteBuffer, _ flexible: Bool) throws(ProtocolError) {
    try writeLength(value.readableBytes, flexible)
    append(value)
  }

  mutating func append(_ bytes: ByteBuffer) {
    let room = claim(bytes.readableBytes)
    bytes.withUnsafeReadableBytes { source in
      UnsafeMutableRawBufferPointer(start: room, count: source.count).copyMemory(from: source)
    }
  }

  @inline(never)
  public mutating func writeNullableBytes(_ value: ByteBuffer?, _ flexible: Bool) throws(ProtocolError) {
    if let value { return try writeBytes(value, flexible) }
    try writeLength(nil, flexible)
  }

  @inline(never)
  mutating func writeNullableBytes(
    _ value: ByteBuffer?, _ flexible: Bool, nullable: Bool, _ field: String, _ version: Int16
  ) throws(ProtocolError) {
    if value == nil, !nullable { throw .nullNotAllowed(field: field, version: version) }
    try writeNullableBytes(value, flexible)
  }

  @inline(never)
  mutating func writeRecords(
    _ value: RecordData?, _ flexible: Bool, nullable: Bool, _ field: String, _ version: Int16
  ) throws(ProtocolError) {
    guard let value else {
      guard nullable else { throw .nullNotAllowed(field: field, version: version) }
      return try writeLength(nil, flexible)
    }
    try writeLength(value.byteCount, flexible)
    switch value {
    case .bytes(let bytes): append(bytes)
    case .splice(let id, let byteCount):
      splices.append(Splice(offset: bufferByteCount, id: id, byteCount: byteCount))
    }
  }
}
