// One open file of a segment. Whoever holds a reference can use the descriptor: the cache may have let go of the file
// and the partition may be gone, the descriptor is closed with the last reference.

package final class SegmentFile: Sendable {
  let handle: OpenFile
  let fileSystem: any FileSystem

  init(handle: OpenFile, fileSystem: any FileSystem) {
    self.handle = handle
    self.fileSystem = fileSystem
  }

  deinit {
    fileSystem.close(handle)
  }

  /// The descriptor, for `sendfile`; open while `body` runs.
  @inlinable
  package func withDescriptor<Result, E: Error>(_ body: (Int32) throws(E) -> Result) throws(E) -> Result {
    defer { withExtendedLifetime(self) {} }
    return try body(descriptor)
  }

  @usableFromInline
  var descriptor: Int32 { handle.descriptor }
}
