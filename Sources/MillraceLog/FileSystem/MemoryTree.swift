// Names and handles of a MemoryFileSystem: which directory holds what, and what is open. Guarded by the file system's
// lock; only the files themselves are used outside of it.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

enum MemoryNode {
  case file(MemoryFile)
  case directory(MemoryDirectory)

  var isDirectory: Bool { if case .directory = self { true } else { false } }
}

final class MemoryDirectory {
  var entries: [String: MemoryNode] = [:]
  let creationTimeMs = Wallclock.nowMs
}

extension MemoryFileSystem {
  /// The error number of a call that cannot be done.
  struct Refusal: Error {
    let errorNumber: Int32
    init(_ errorNumber: Int32) { self.errorNumber = errorNumber }
  }

  struct Tree {
    struct Handle {
      var node: MemoryNode
      var isLock = false
    }

    private let root = MemoryDirectory()
    private var handles: [Int32: Handle] = [:]
    private var lastHandle: Int32 = -1

    // MARK: Handles

    mutating func register(_ handle: Handle) -> Int32 {
      repeat { lastHandle = lastHandle == .min ? -2 : lastHandle - 1 } while handles[lastHandle] != nil
      handles[lastHandle] = handle
      return lastHandle
    }

    /// The file that the handle was for: it goes with the last reference.
    mutating func close(_ descriptor: Int32) -> MemoryFile? {
      guard case .file(let file)? = handles.removeValue(forKey: descriptor)?.node else { return nil }
      return file
    }

    func file(of descriptor: Int32) throws(Refusal) -> MemoryFile {
      guard let handle = handles[descriptor] else { throw Refusal(EBADF) }
      guard case .file(let file) = handle.node else { throw Refusal(EISDIR) }
      return file
    }

    func isLocked(_ file: MemoryFile) -> Bool {
      handles.values.contains { handle in
        if case .file(let other) = handle.node { handle.isLock && other === file } else { false }
      }
    }

    // MARK: Names

    /// A path's names from the root; relative paths begin there too.
    private static func names(_ path: String) -> [String] {
      path.split(separator: "/").filter { $0 != "." }.map(String.init)
    }

    /// Throws when the way to `path` does not exist, or leads through a file.
    private func directory(_ names: some Sequence<String>) throws(Refusal) -> MemoryDirectory {
      var directory = root
      for name in names {
        switch directory.entries[name] {
        case .directory(let next): directory = next
        case .file: throw Refusal(ENOTDIR)
        case nil: throw Refusal(ENOENT)
        }
      }
      return directory
    }

    /// The directory that a path's last name is in, or would be.
    func place(of path: String) throws(Refusal) -> (parent: MemoryDirectory, name: String) {
      let names = Self.names(path)
      guard let name = names.last else { throw Refusal(EEXIST) }
      return (try directory(names.dropLast()), name)
    }

    func node(at path: String) throws(Refusal) -> MemoryNode? {
      let names = Self.names(path)
      guard let name = names.last else { return .directory(root) }
      return try directory(names.dropLast()).entries[name]
    }

    func openNode(_ path: String, _ mode: OpenMode, _ budget: MemoryBudget) throws(Refusal) -> MemoryNode {
      switch (try node(at: path), mode) {
      case (.directory(let directory), .read): return .directory(directory)
      case (.directory, _): throw Refusal(EISDIR)
      case (.file(let file), .replace):
        file.truncate(to: 0)
        return .file(file)
      case (.file(let file), _): return .file(file)
      case (nil, .create), (nil, .replace):
        let (parent, name) = try place(of: path)
        let file = MemoryFile(budget: budget)
        parent.entries[name] = .file(file)
        return .file(file)
      case (nil, _): throw Refusal(ENOENT)
      }
    }

    /// Returns the file that was replaced, if any.
    func rename(_ path: String, to newPath: String) throws(Refusal) -> MemoryFile? {
      let (parent, name) = try place(of: path)
      let (newParent, newName) = try place(of: newPath)
      guard let node = parent.entries[name] else { throw Refusal(ENOENT) }
      var replaced: MemoryFile?
      switch (node, newParent.entries[newName]) {
      case (.file, .file(let old)): replaced = old
      case (.file, .directory): throw Refusal(EISDIR)
      case (.directory, .file): throw Refusal(ENOTDIR)
      case (.directory, .directory(let old)):
        if !old.entries.isEmpty { throw Refusal(ENOTEMPTY) }
      case (_, nil): break
      }
      // A directory cannot go into itself.
      if node.isDirectory, Self.names(newPath).dropLast().starts(with: Self.names(path)) { throw Refusal(EINVAL) }
      parent.entries[name] = nil
      newParent.entries[newName] = node
      return replaced
    }

    /// Returns the file whose name it was.
    func removeFile(_ path: String) throws(Refusal) -> MemoryFile {
      let (parent, name) = try place(of: path)
      switch parent.entries[name] {
      case .file(let file):
        parent.entries[name] = nil
        return file
      case .directory: throw Refusal(EISDIR)
      case nil: throw Refusal(ENOENT)
      }
    }
  }
}
