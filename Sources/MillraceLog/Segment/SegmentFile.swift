// One open file of a segment. Whoever holds a reference can use the file: the cache may have let go of it and the
// partition may be gone, the descriptor is closed with the last reference. The descriptor is therefore used in here only,
// with the reference held until the call is done: a reference may end with its last use, and a number that was closed may
// be another file's by the time of the call.

package final class SegmentFile: Sendable {
  private let handle: OpenFile
  private let fileSystem: any FileSystem

  init(handle: OpenFile, fileSystem: any FileSystem) {
    self.handle = handle
    self.fileSystem = fileSystem
  }

  deinit {
    fileSystem.close(handle)
  }

  /// The descriptor, for `sendfile`; open while `body` runs. Negative for a file in memory, which has none.
  @inlinable
  package func withDescriptor<Result, E: Error>(_ body: (Int32) throws(E) -> Result) throws(E) -> Result {
    defer { withExtendedLifetime(self) {} }
    return try body(descriptor)
  }

  @usableFromInline
  var descriptor: Int32 { handle.descriptor }

  var path: String { handle.path }

  // What `FileSystem` does with files.

  func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int64) throws(StorageError) -> Int {
    defer { withExtendedLifetime(self) {} }
    return try fileSystem.read(handle, into: buffer, at: position)
  }

  func write(
    _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0),
    at position: Int64
  ) throws(StorageError) {
    defer { withExtendedLifetime(self) {} }
    try fileSystem.write(handle, head, tail, at: position)
  }

  func size() throws(StorageError) -> Int64 {
    defer { withExtendedLifetime(self) {} }
    return try fileSystem.size(of: handle)
  }

  func truncate(to size: Int64) throws(StorageError) {
    defer { withExtendedLifetime(self) {} }
    try fileSystem.truncate(handle, to: size)
  }

  func synchronize() throws(StorageError) {
    defer { withExtendedLifetime(self) {} }
    try fileSystem.synchronize(handle)
  }
}
