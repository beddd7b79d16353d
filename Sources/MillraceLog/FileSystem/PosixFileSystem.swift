// The file system of the machine. Linux first: `fdatasync` and `syncfs` are its own; elsewhere a full `fsync` of the
// file or of the directory stands in for them.

import CMillraceSystem

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package struct PosixFileSystem: FileSystem {
  package init() {}

  package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> OpenFile {
    let flags: Int32 =
      switch mode {
      case .read: O_RDONLY
      case .readWrite: O_RDWR
      case .create: O_RDWR | O_CREAT
      case .replace: O_RDWR | O_CREAT | O_TRUNC
      }
    let descriptor = retrying { systemOpen(path, flags | O_CLOEXEC, 0o644) }
    guard descriptor >= 0 else { throw StorageError(errno, .open, path) }
    return OpenFile(descriptor: descriptor, path: path)
  }

  package func close(_ file: OpenFile) {
    // Not carried on after an interruption: on Linux the descriptor is gone by then.
    _ = systemClose(file.descriptor)
  }

  package func read(
    _ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(StorageError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = retrying {
        pread(file.descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(position) + done)
      }
      if count < 0 { throw StorageError(errno, .read, file.path) }
      if count == 0 { break }
      done += count
    }
    return done
  }

  package func write(
    _ file: OpenFile, _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, at position: Int64
  ) throws(StorageError) {
    let total = head.count + tail.count
    var done = 0
    while done < total {
      let count: Int
      if done < head.count, tail.count > 0 {
        count = withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { vectors in
          vectors[0] = Self.vector(head, from: done)
          vectors[1] = Self.vector(tail, from: 0)
          return retrying { pwritev(file.descriptor, vectors.baseAddress!, 2, off_t(position) + done) }
        }
      } else {
        let rest = Self.vector(done < head.count ? head : tail, from: done < head.count ? done : done - head.count)
        count = retrying { pwrite(file.descriptor, rest.iov_base!, rest.iov_len, off_t(position) + done) }
      }
      if count < 0 { throw StorageError(errno, .write, file.path) }
      if count == 0 { throw StorageError(EIO, .write, file.path) }
      done += count
    }
  }

  private static func vector(_ bytes: UnsafeRawBufferPointer, from start: Int) -> iovec {
    iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress! + start), iov_len: bytes.count - start)
  }

  package func size(of file: OpenFile) throws(StorageError) -> Int64 {
    var status = stat()
    guard fstat(file.descriptor, &status) == 0 else { throw StorageError(errno, .size, file.path) }
    return Int64(status.st_size)
  }

  package func truncate(_ file: OpenFile, to size: Int64) throws(StorageError) {
    guard retrying({ ftruncate(file.descriptor, off_t(size)) }) == 0 else {
      throw StorageError(errno, .truncate, file.path)
    }
  }

  package func synchronize(_ file: OpenFile) throws(StorageError) {
    #if os(Linux)
      let result = retrying { fdatasync(file.descriptor) }
    #else
      let result = retrying { fsync(file.descriptor) }
    #endif
    guard result == 0 else { throw StorageError(errno, .synchronize, file.path) }
  }

  package func synchronizeDirectory(_ path: String) throws(StorageError) {
    let descriptor = retrying { systemOpen(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
    guard descriptor >= 0 else { throw StorageError(errno, .synchronizeDirectory, path) }
    defer { _ = systemClose(descriptor) }
    guard retrying({ fsync(descriptor) }) == 0 else { throw StorageError(errno, .synchronizeDirectory, path) }
  }

  package func synchronizeFileSystem(of file: OpenFile) throws(StorageError) {
    guard retrying({ millrace_syncfs(file.descriptor) }) == 0 else {
      throw StorageError(errno, .synchronizeFileSystem, file.path)
    }
  }

  package func rename(_ path: String, to newPath: String) throws(StorageError) {
    guard systemRename(path, newPath) == 0 else { throw StorageError(errno, .rename, path) }
  }

  package func remove(_ path: String) throws(StorageError) {
    guard unlink(path) == 0 else { throw StorageError(errno, .remove, path) }
  }

  package func createDirectory(_ path: String) throws(StorageError) {
    guard mkdir(path, 0o755) == 0 else { throw StorageError(errno, .createDirectory, path) }
  }

  package func removeDirectory(_ path: String) throws(StorageError) {
    guard rmdir(path) == 0 else { throw StorageError(errno, .removeDirectory, path) }
  }

  package func list(_ path: String) throws(StorageError) -> [DirectoryEntry] {
    guard let stream = opendir(path) else { throw StorageError(errno, .list, path) }
    defer { closedir(stream) }
    var entries: [DirectoryEntry] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw StorageError(errno, .list, path) }
        return entries
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        String(cString: UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self))
      }
      if name == "." || name == ".." { continue }
      let isDirectory =
        switch Int32(entry.pointee.d_type) {
        case Int32(DT_DIR): true
        case Int32(DT_UNKNOWN), Int32(DT_LNK): (try status(of: "\(path)/\(name)"))?.isDirectory ?? false
        default: false
        }
      entries.append(DirectoryEntry(name: name, isDirectory: isDirectory))
    }
  }

  package func status(of path: String) throws(StorageError) -> FileStatus? {
    var status = stat()
    guard stat(path, &status) == 0 else {
      if errno == ENOENT || errno == ENOTDIR { return nil }
      throw StorageError(errno, .status, path)
    }
    #if os(Linux)
      let modified = status.st_mtim
    #else
      let modified = status.st_mtimespec
    #endif
    return FileStatus(
      byteCount: Int64(status.st_size), isDirectory: status.st_mode & S_IFMT == S_IFDIR,
      modificationTimeMs: Int64(modified.tv_sec) * 1000 + Int64(modified.tv_nsec) / 1_000_000)
  }

  package func lock(_ path: String) throws(StorageError) -> OpenFile {
    let file = try open(path, .create)
    guard retrying({ flock(file.descriptor, LOCK_EX | LOCK_NB) }) == 0 else {
      let number = errno
      close(file)
      throw StorageError(number, .lock, path)
    }
    return file
  }

  package func unlock(_ file: OpenFile) {
    // To close it is not enough: a program that this process is just starting has its descriptors until it runs.
    _ = flock(file.descriptor, LOCK_UN)
    close(file)
  }

  package func space(at path: String) throws(StorageError) -> StorageSpace {
    var status = statvfs()
    guard statvfs(path, &status) == 0 else { throw StorageError(errno, .space, path) }
    let unit = UInt64(status.f_frsize)
    return StorageSpace(
      totalBytes: Int64(clamping: UInt64(status.f_blocks).multipliedReportingOverflow(by: unit).partialValue),
      usableBytes: Int64(clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: unit).partialValue))
  }
}

extension PosixFileSystem {
  /// The most files this process may have open.
  package static var openFileLimit: Int {
    var limit = rlimit()
    #if canImport(Glibc)
      let result = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    #else
      let result = getrlimit(RLIMIT_NOFILE, &limit)
    #endif
    return result == 0 ? Int(clamping: limit.rlim_cur) : 1024
  }
}

private func retrying<Result: FixedWidthInteger & SignedInteger>(_ call: () -> Result) -> Result {
  while true {
    let result = call()
    if result != -1 || errno != EINTR { return result }
  }
}

// The members of PosixFileSystem have the names of the calls they make; these say which is meant.
private func systemOpen(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 { open(path, flags, mode) }
private func systemClose(_ descriptor: Int32) -> Int32 { close(descriptor) }
private func systemRename(_ path: String, _ newPath: String) -> Int32 { rename(path, newPath) }
