// The bytes of one file in memory, in blocks. A block that was never written is a hole: it reads as zeros and takes
// nothing. What the blocks of all files take together is bounded by the file system's `MemoryBudget`.
//
//     byteCount 40,000       0        16 KiB     32 KiB    40,000
//     blocks                 [ block ][ hole    ][ block    ]

import Synchronization

final class MemoryFile: Sendable {
  /// Small, since many files of a broker hold a few hundred bytes; large enough that a segment is not all bookkeeping.
  static let blockBytes = 16 << 10

  fileprivate struct Content {
    /// Empty: a hole.
    var blocks: [[UInt8]] = []
    var byteCount = 0
    var modificationTimeMs = Wallclock.nowMs
  }

  private let budget: MemoryBudget
  private let content = Mutex(Content())

  init(budget: MemoryBudget) { self.budget = budget }

  deinit {
    let used = content.withLock { $0.blocks.count { !$0.isEmpty } }
    budget.release(used * Self.blockBytes)
  }

  var byteCount: Int64 { content.withLock { Int64($0.byteCount) } }

  var status: FileStatus {
    content.withLock {
      FileStatus(byteCount: Int64($0.byteCount), isDirectory: false, modificationTimeMs: $0.modificationTimeMs)
    }
  }

  func read(into buffer: UnsafeMutableRawBufferPointer, at position: Int) -> Int {
    content.withLock { content in
      let count = min(buffer.count, content.byteCount - position)
      guard count > 0 else { return 0 }
      var done = 0
      while done < count {
        let (index, start) = (position + done).quotientAndRemainder(dividingBy: Self.blockBytes)
        let length = min(count - done, Self.blockBytes - start)
        let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + length)])
        let block = content.blocks[index]
        if block.isEmpty {
          target.initializeMemory(as: UInt8.self, repeating: 0)
        } else {
          block.withUnsafeBytes {
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<(start + length)]))
          }
        }
        done += length
      }
      return count
    }
  }

  /// Writes both parts at `position`, or nothing when the budget does not have the room: then it returns false.
  func write(_ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, at position: Int) -> Bool {
    let end = position + head.count + tail.count
    guard end > position else { return true }
    return content.withLock { content in
      let first = position / Self.blockBytes
      let last = (end - 1) / Self.blockBytes
      let missing = (first...last).count { $0 >= content.blocks.count || content.blocks[$0].isEmpty }
      guard budget.reserve(missing * Self.blockBytes) else { return false }
      while content.blocks.count <= last { content.blocks.append([]) }
      if missing > 0 {
        for index in first...last where content.blocks[index].isEmpty {
          content.blocks[index] = [UInt8](repeating: 0, count: Self.blockBytes)
        }
      }
      content.put(head, at: position)
      content.put(tail, at: position + head.count)
      content.byteCount = max(content.byteCount, end)
      content.modificationTimeMs = Wallclock.nowMs
      return true
    }
  }

  func truncate(to size: Int) {
    content.withLock { content in
      let count = (size + Self.blockBytes - 1) / Self.blockBytes
      if count < content.blocks.count {
        let freed = content.blocks[count...].count { !$0.isEmpty }
        content.blocks.removeLast(content.blocks.count - count)
        budget.release(freed * Self.blockBytes)
      } else {
        while content.blocks.count < count { content.blocks.append([]) }
      }
      // What the file grows by later must read as zeros.
      let rest = size % Self.blockBytes
      if size < content.byteCount, rest > 0, let last = content.blocks.indices.last, !content.blocks[last].isEmpty {
        content.blocks[last].withUnsafeMutableBytes {
          _ = UnsafeMutableRawBufferPointer(rebasing: $0[rest...]).initializeMemory(as: UInt8.self, repeating: 0)
        }
      }
      content.byteCount = size
      content.modificationTimeMs = Wallclock.nowMs
    }
  }
}

extension MemoryFile.Content {
  /// Copies `bytes` into blocks that are there.
  mutating func put(_ bytes: UnsafeRawBufferPointer, at position: Int) {
    var done = 0
    while done < bytes.count {
      let (index, start) = (position + done).quotientAndRemainder(dividingBy: MemoryFile.blockBytes)
      let length = min(bytes.count - done, MemoryFile.blockBytes - start)
      let source = UnsafeRawBufferPointer(rebasing: bytes[done..<(done + length)])
      blocks[index].withUnsafeMutableBytes {
        UnsafeMutableRawBufferPointer(rebasing: $0[start..<(start + length)]).copyMemory(from: source)
      }
      done += length
    }
  }
}

/// How many bytes the files of one file system may take together.
final class MemoryBudget: Sendable {
  let capacityBytes: Int
  private let used = Atomic<Int>(0)

  init(capacityBytes: Int) { self.capacityBytes = capacityBytes }

  var usedBytes: Int { used.load(ordering: .relaxed) }

  func reserve(_ byteCount: Int) -> Bool {
    guard byteCount > 0 else { return true }
    if used.add(byteCount, ordering: .relaxed).newValue <= capacityBytes { return true }
    release(byteCount)
    return false
  }

  func release(_ byteCount: Int) { used.subtract(byteCount, ordering: .relaxed) }
}
