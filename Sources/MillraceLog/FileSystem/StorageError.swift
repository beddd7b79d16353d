// What the operating system answered instead of doing what it was asked: the error number, the call and the path.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package struct StorageError: Error, Sendable, Hashable, CustomStringConvertible {
  package enum Operation: String, Sendable {
    case open, read, write, size, truncate, synchronize, rename, remove, list, status, lock, space
    case synchronizeDirectory = "synchronize directory"
    case synchronizeFileSystem = "synchronize file system"
    case createDirectory = "create directory"
    case removeDirectory = "remove directory"
  }

  package var errorNumber: Int32
  package var operation: Operation
  package var path: String

  package init(_ errorNumber: Int32, _ operation: Operation, _ path: String) {
    self.errorNumber = errorNumber
    self.operation = operation
    self.path = path
  }

  /// There is nothing of that name.
  static func notFound(_ operation: Operation, _ path: String) -> StorageError {
    StorageError(ENOENT, operation, path)
  }

  /// There is no room.
  package static func outOfSpace(_ operation: Operation, _ path: String) -> StorageError {
    StorageError(ENOSPC, operation, path)
  }

  /// The device does not do what it should.
  package static func broken(_ operation: Operation, _ path: String) -> StorageError {
    StorageError(EIO, operation, path)
  }

  /// No room: the call changed nothing that matters and may succeed later.
  package var isOutOfSpace: Bool { errorNumber == ENOSPC || errorNumber == EDQUOT }
  /// Bytes that were written are perhaps not durable and never will be.
  var isFailedFlush: Bool { operation == .synchronize || operation == .synchronizeFileSystem }
  package var isNotFound: Bool { errorNumber == ENOENT }
  /// Something of that name is there.
  var isAlreadyThere: Bool { errorNumber == EEXIST }
  /// Somebody else holds the lock.
  package var isLocked: Bool { errorNumber == EWOULDBLOCK }
  package var isTooManyOpenFiles: Bool { errorNumber == EMFILE || errorNumber == ENFILE }

  package var description: String {
    "cannot \(operation.rawValue) \(path): \(String(cString: strerror(errorNumber)))"
  }
}
