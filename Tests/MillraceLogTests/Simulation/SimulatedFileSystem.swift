// A file system on a simulated disk, for one thread at a time. It can tell of every call that changes the disk, and it
// can be broken: flushes that do nothing, which is how the tests are tested.

import Synchronization

@testable import MillraceLog

#if canImport(Glibc)
  import Glibc
#endif

final class SimulatedFileSystem: FileSystem {
  struct State {
    var disk: SimulatedDisk
    var openFiles: [Int32: Int] = [:]
    var nextDescriptor: Int32 = 3
    var nowMs: Int64 = 1_700_000_000_000
  }

  /// What a broken file system leaves out.
  struct Broken: OptionSet {
    let rawValue: Int
    static let fileFlush = Broken(rawValue: 1)
    static let directoryFlush = Broken(rawValue: 2)
  }

  private let state: Mutex<State>
  private let broken: Broken
  /// Called after every change with the disk as it is then.
  private let observer = Mutex<(@Sendable (SimulatedDisk) -> Void)?>(nil)

  init(_ disk: SimulatedDisk = SimulatedDisk(), broken: Broken = []) {
    state = Mutex(State(disk: disk))
    self.broken = broken
  }

  var disk: SimulatedDisk { state.withLock { $0.disk } }
  func observe(_ body: (@Sendable (SimulatedDisk) -> Void)?) { observer.withLock { $0 = body } }

  private func change<Result>(
    _ body: (inout State) throws(StorageError) -> Result
  ) throws(StorageError) -> Result {
    let result = try state.withLock { (state) throws(StorageError) in try body(&state) }
    if let observe = observer.withLock({ $0 }) { observe(disk) }
    return result
  }

  // MARK: Files

  func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> OpenFile {
    var changes = false
    let file = try state.withLock { (state) throws(StorageError) -> OpenFile in
      let node: Int
      if let found = try state.node(path, .open) {
        node = found
        if mode == .replace, state.disk.files[node]?.bytes.isEmpty == false {
          state.disk.files[node]?.change { $0 = [] }
          changes = true
        }
      } else {
        guard mode == .create || mode == .replace else { throw StorageError(ENOENT, .open, path) }
        let (parent, name) = try state.parent(path, .open)
        node = state.disk.newFile()
        state.disk.directories[parent]?.change(.add(name, node: node))
        changes = true
      }
      defer { state.nextDescriptor += 1 }
      state.openFiles[state.nextDescriptor] = node
      return OpenFile(descriptor: state.nextDescriptor, path: path)
    }
    if changes, let observe = observer.withLock({ $0 }) { observe(disk) }
    return file
  }

  func close(_ file: OpenFile) { state.withLock { $0.openFiles[file.descriptor] = nil } }

  func read(
    _ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(StorageError) -> Int {
    try state.withLock { (state) throws(StorageError) in
      let node = try state.file(file, .read)
      guard let bytes = state.disk.files[node]?.bytes, position < bytes.count else { return 0 }
      let count = min(buffer.count, bytes.count - Int(position))
      bytes.withUnsafeBytes { source in
        UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source[Int(position)..<(Int(position) + count)]))
      }
      return count
    }
  }

  func write(
    _ file: OpenFile, _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, at position: Int64
  ) throws(StorageError) {
    try change { (state) throws(StorageError) in
      let node = try state.file(file, .write)
      let end = Int(position) + head.count + tail.count
      state.disk.files[node]?.change { bytes in
        if bytes.count < end { bytes.append(contentsOf: [UInt8](repeating: 0, count: end - bytes.count)) }
        bytes.replaceSubrange(Int(position)..<(Int(position) + head.count), with: head)
        bytes.replaceSubrange((Int(position) + head.count)..<end, with: tail)
      }
    }
  }

  func size(of file: OpenFile) throws(StorageError) -> Int64 {
    try state.withLock { (state) throws(StorageError) in
      Int64(state.disk.files[try state.file(file, .size)]?.bytes.count ?? 0)
    }
  }

  func truncate(_ file: OpenFile, to size: Int64) throws(StorageError) {
    try change { (state) throws(StorageError) in
      let node = try state.file(file, .truncate)
      state.disk.files[node]?.change { bytes in
        if bytes.count > size {
          bytes.removeLast(bytes.count - Int(size))
        } else {
          bytes.append(contentsOf: [UInt8](repeating: 0, count: Int(size) - bytes.count))
        }
      }
    }
  }

  // MARK: Flushes

  func synchronize(_ file: OpenFile) throws(StorageError) {
    try change { (state) throws(StorageError) in
      let node = try state.file(file, .synchronize)
      if !broken.contains(.fileFlush) { state.disk.files[node]?.synchronize() }
    }
  }

  func synchronizeDirectory(_ path: String) throws(StorageError) {
    try change { (state) throws(StorageError) in
      guard let node = try state.node(path, .synchronizeDirectory) else {
        throw StorageError(ENOENT, .synchronizeDirectory, path)
      }
      if !broken.contains(.directoryFlush) { state.disk.directories[node]?.synchronize() }
    }
  }

  func synchronizeFileSystem(of file: OpenFile) throws(StorageError) {
    try change { (state) throws(StorageError) in
      state.disk.synchronizeAll(
        files: !broken.contains(.fileFlush), directories: !broken.contains(.directoryFlush))
    }
  }

  // MARK: Names

  func rename(_ path: String, to newPath: String) throws(StorageError) {
    try change { (state) throws(StorageError) in
      let (parent, name) = try state.parent(path, .rename)
      let (newParent, newName) = try state.parent(newPath, .rename)
      precondition(parent == newParent, "nothing is moved between directories")
      guard let node = state.disk.directories[parent]?.entries[name] else { throw StorageError(ENOENT, .rename, path) }
      state.disk.directories[parent]?.change(.rename(name, newName, node: node))
    }
  }

  func remove(_ path: String) throws(StorageError) {
    try change { (state) throws(StorageError) in
      let (parent, name) = try state.parent(path, .remove)
      guard let node = state.disk.directories[parent]?.entries[name] else { throw StorageError(ENOENT, .remove, path) }
      state.disk.directories[parent]?.change(.remove(name, node: node))
    }
  }

  func createDirectory(_ path: String) throws(StorageError) {
    try change { (state) throws(StorageError) in
      let (parent, name) = try state.parent(path, .createDirectory)
      guard state.disk.directories[parent]?.entries[name] == nil else {
        throw StorageError(EEXIST, .createDirectory, path)
      }
      let node = state.disk.newDirectory()
      state.disk.directories[parent]?.change(.add(name, node: node))
    }
  }

  func removeDirectory(_ path: String) throws(StorageError) {
    try change { (state) throws(StorageError) in
      let (parent, name) = try state.parent(path, .removeDirectory)
      guard let node = state.disk.directories[parent]?.entries[name], let directory = state.disk.directories[node]
      else { throw StorageError(ENOENT, .removeDirectory, path) }
      guard directory.entries.isEmpty else { throw StorageError(ENOTEMPTY, .removeDirectory, path) }
      state.disk.directories[parent]?.change(.remove(name, node: node))
    }
  }

  func list(_ path: String) throws(StorageError) -> [DirectoryEntry] {
    try state.withLock { (state) throws(StorageError) in
      guard let node = try state.node(path, .list), let directory = state.disk.directories[node] else {
        throw StorageError(ENOENT, .list, path)
      }
      return directory.entries.sorted { $0.key < $1.key }.map { name, child in
        DirectoryEntry(name: name, isDirectory: state.disk.directories[child] != nil)
      }
    }
  }

  func status(of path: String) throws(StorageError) -> FileStatus? {
    try state.withLock { (state) throws(StorageError) in
      guard let node = try? state.node(path, .status) else { return nil }
      return FileStatus(
        byteCount: Int64(state.disk.files[node]?.bytes.count ?? 0), isDirectory: state.disk.directories[node] != nil,
        modificationTimeMs: state.nowMs)
    }
  }

  func lock(_ path: String) throws(StorageError) -> OpenFile { try open(path, .create) }

  func space(at path: String) throws(StorageError) -> StorageSpace {
    StorageSpace(totalBytes: 1 << 40, usableBytes: 1 << 39)
  }
}

extension SimulatedFileSystem.State {
  /// Nil when there is nothing of that name in a directory that is there.
  func node(_ path: String, _ operation: StorageError.Operation) throws(StorageError) -> Int? {
    if path == "/" { return SimulatedDisk.root }
    let (parent, name) = try parent(path, operation)
    return disk.directories[parent]?.entries[name]
  }

  func parent(_ path: String, _ operation: StorageError.Operation) throws(StorageError) -> (Int, String) {
    var names = path.split(separator: "/").map(String.init)
    let name = names.removeLast()
    var node = SimulatedDisk.root
    for part in names {
      guard let next = disk.directories[node]?.entries[part], disk.directories[next] != nil else {
        throw StorageError(ENOENT, operation, path)
      }
      node = next
    }
    return (node, name)
  }

  func file(_ file: OpenFile, _ operation: StorageError.Operation) throws(StorageError) -> Int {
    guard let node = openFiles[file.descriptor] else { throw StorageError(EBADF, operation, file.path) }
    return node
  }
}
