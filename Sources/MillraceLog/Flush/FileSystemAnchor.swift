// A descriptor on the file system of a data directory, opened when the store was: `syncfs` reports errors that came after.
// It reports each of them once, whichever file it was for, so after the first one a success says nothing any more: a log
// whose bytes were lost may not have been in the commit that was told. From then on files are flushed one by one, since
// each file's own descriptor still reports what happened to it.

import Synchronization

final class FileSystemAnchor: Sendable {
  private let file: OpenFile
  private let fileSystem: any FileSystem
  private let hasFailed = Atomic<Bool>(false)

  init(_ file: OpenFile, _ fileSystem: any FileSystem) {
    self.file = file
    self.fileSystem = fileSystem
  }

  /// Whether no flush of the file system has failed yet.
  var isUsable: Bool { !hasFailed.load(ordering: .acquiring) }

  func synchronizeFileSystem() throws(StorageError) {
    do {
      try fileSystem.synchronizeFileSystem(of: file)
    } catch {
      hasFailed.store(true, ordering: .releasing)
      throw error
    }
  }

  func close() { fileSystem.close(file) }
}
