// The file system in memory does what the machine's does.

import Foundation
import MillraceRecords
import Testing

@testable import MillraceLog

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct MemoryFileSystemTests {
  private func number(_ body: () throws(StorageError) -> Void) -> Int32 {
    do { try body() } catch { return error.errorNumber }
    return 0
  }

  @Test func `random work on files leaves what it leaves on a disk`() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    let workspace = Workspace()
    let memory = MemoryFileSystem()
    let disk = PosixFileSystem()
    let inMemory = try memory.open("file", .create)
    let onDisk = try disk.open(workspace.rootFile("file"), .create)
    for _ in 0..<300 {
      let position = Int64.random(in: 0..<100_000, using: &generator)
      switch Int.random(in: 0..<10, using: &generator) {
      case 0:
        try memory.truncate(inMemory, to: position)
        try disk.truncate(onDisk, to: position)
      case 1...5:
        let head = (0..<Int.random(in: 0..<40_000, using: &generator)).map { UInt8(truncatingIfNeeded: $0) }
        let tail = [UInt8](repeating: .random(in: 1...255, using: &generator), count: head.count / 3)
        try head.withBytes { (head) throws(StorageError) in
          try tail.withBytes { (tail) throws(StorageError) in
            try memory.write(inMemory, head, tail, at: position)
            try disk.write(onDisk, head, tail, at: position)
          }
        }
      default:
        var one = [UInt8](repeating: 7, count: Int.random(in: 0..<50_000, using: &generator))
        var other = one
        let oneCount = try one.withMutableBytes { (buffer) throws(StorageError) in
          try memory.read(inMemory, into: buffer, at: position)
        }
        let otherCount = try other.withMutableBytes { (buffer) throws(StorageError) in
          try disk.read(onDisk, into: buffer, at: position)
        }
        #expect(oneCount == otherCount && one == other, "seed \(seed)")
      }
      #expect(try memory.size(of: inMemory) == disk.size(of: onDisk), "seed \(seed)")
    }
    memory.close(inMemory)
    disk.close(onDisk)
  }

  @Test func `directories, renames and removals follow the rules of the system`() throws {
    let workspace = Workspace()
    let memory = MemoryFileSystem()
    try memory.createDirectory("/root")
    let places: [(any FileSystem, String)] = [(memory, "/root"), (PosixFileSystem(), workspace.path)]
    let answers = try places.map { (fileSystem, root) -> [Int32] in
      for name in ["a", "a/b", "c"] { try fileSystem.createDirectory("\(root)/\(name)") }
      for name in ["a/1", "a/b/2", "c/3"] { fileSystem.close(try fileSystem.open("\(root)/\(name)", .create)) }
      var answers = [
        number { () throws(StorageError) in try fileSystem.createDirectory("\(root)/a") },
        number { () throws(StorageError) in try fileSystem.createDirectory("\(root)/x/y") },
        number { () throws(StorageError) in try fileSystem.removeDirectory("\(root)/c") },
        number { () throws(StorageError) in try fileSystem.rename("\(root)/a", to: "\(root)/c") },
        number { () throws(StorageError) in try fileSystem.rename("\(root)/a", to: "\(root)/a/b/d") },
        number { () throws(StorageError) in try fileSystem.rename("\(root)/c/3", to: "\(root)/a") },
        number { () throws(StorageError) in try fileSystem.rename("\(root)/nothing", to: "\(root)/a/9") },
        number { () throws(StorageError) in try fileSystem.remove("\(root)/nothing") },
        number { () throws(StorageError) in _ = try fileSystem.open("\(root)/nothing", .readWrite) },
        number { () throws(StorageError) in _ = try fileSystem.open("\(root)/a", .readWrite) },
        number { () throws(StorageError) in _ = try fileSystem.open("\(root)/a/1/2", .create) },
        number { () throws(StorageError) in _ = try fileSystem.list("\(root)/a/1") },
      ]
      try fileSystem.rename("\(root)/a", to: "\(root)/moved")
      try fileSystem.rename("\(root)/moved/1", to: "\(root)/c/3")
      answers.append(try fileSystem.status(of: "\(root)/a") == nil ? 1 : 0)
      answers.append(try fileSystem.status(of: "\(root)/c/3/4") == nil ? 1 : 0)
      #expect(try fileSystem.list("\(root)/moved").map(\.name) == ["b"])
      #expect(try fileSystem.list("\(root)/c") == [DirectoryEntry(name: "3", isDirectory: false)])
      return answers
    }
    #expect(answers[0] == answers[1])
  }

  @Test func `a file that was removed is read until it is closed, and only then gives its room back`() throws {
    let memory = MemoryFileSystem(capacityBytes: 4 * MemoryFile.blockBytes)
    let file = try memory.open("log", .create)
    let bytes = [UInt8](repeating: 9, count: 3 * MemoryFile.blockBytes)
    try bytes.withBytes { (bytes) throws(StorageError) in try memory.write(file, bytes, at: 0) }
    try memory.remove("log")
    let other = try memory.open("other", .create)
    let refused = number { () throws(StorageError) in
      try bytes.withBytes { (bytes) throws(StorageError) in try memory.write(other, bytes, at: 0) }
    }
    #expect(refused == ENOSPC)
    #expect(try memory.size(of: other) == 0)
    var back = [UInt8](repeating: 0, count: bytes.count)
    let count = try back.withMutableBytes { (buffer) throws(StorageError) in
      try memory.read(file, into: buffer, at: 0)
    }
    #expect(count == bytes.count && back == bytes)
    memory.close(file)
    #expect(try memory.space(at: "/").usableBytes == Int64(4 * MemoryFile.blockBytes))
    try bytes.withBytes { (bytes) throws(StorageError) in try memory.write(other, bytes, at: 0) }
    memory.close(other)
  }

  @Test func `a hole takes no room`() throws {
    let memory = MemoryFileSystem(capacityBytes: MemoryFile.blockBytes)
    let file = try memory.open("index", .create)
    try memory.truncate(file, to: 1 << 30)
    try [UInt8](repeating: 1, count: 8).withBytes { (bytes) throws(StorageError) in
      try memory.write(file, bytes, at: 1 << 29)
    }
    #expect(try memory.size(of: file) == 1 << 30)
    memory.close(file)
  }

  @Test func `a lock is one holder's until it is closed`() throws {
    let memory = MemoryFileSystem()
    let held = try memory.lock(".lock")
    let error = #expect(throws: StorageError.self) { try memory.lock(".lock") }
    #expect(error?.isLocked == true)
    memory.close(held)
    memory.close(try memory.lock(".lock"))
  }

  @Test func `a log in memory is there after its store was closed and opened again`() throws {
    let workspace = Workspace()
    workspace.fileSystem = MemoryFileSystem()
    var store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["a", "b"]))
    try log.settle()
    store.close(nowMs: workspace.now)
    store = try workspace.open()
    #expect(store.wasCleanlyStopped)
    #expect(try workspace.log(store).values().map(\.value) == ["a", "b"])
    store.close(nowMs: workspace.now)
  }
}
