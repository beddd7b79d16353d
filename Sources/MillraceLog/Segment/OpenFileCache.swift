// Bounds how many segment files are open at once. A clock hand goes round the slots that hold a file: one used since
// the hand last passed is spared once, one with unflushed bytes is spared as long as there is a clean one, the first
// other is emptied. Using an open file takes no lock of the cache.

import Synchronization

final class OpenFileCache: Sendable {
  /// Never fewer, whatever the process may open: less would open and close files on every append.
  static let smallestLimit = 16
  static let defaultLimit = 512

  let fileSystem: any FileSystem
  private let limit: Int
  private let ring = Mutex(Ring())

  struct Ring {
    var slots: [FileSlot] = []
    var hand = 0
  }

  init(fileSystem: any FileSystem, limit: Int) {
    self.fileSystem = fileSystem
    self.limit = max(limit, Self.smallestLimit)
  }

  var openCount: Int { ring.withLock { $0.slots.count } }

  /// Opens a file; when the process has too many, makes room and tries once more.
  func openFile(_ path: String, _ mode: OpenMode) throws(StorageError) -> OpenFile {
    do {
      return try fileSystem.open(path, mode)
    } catch {
      guard error.isTooManyOpenFiles else { throw error }
      let victims = ring.withLock { ring in (0..<8).compactMap { _ in ring.removeVictim() } }
      for victim in victims { victim.evict() }
      return try fileSystem.open(path, mode)
    }
  }

  /// Counts the file that was put into `slot`, and closes another if there are too many.
  func register(_ slot: FileSlot) {
    let victim = ring.withLock { ring -> FileSlot? in
      let victim = ring.slots.count >= limit ? ring.removeVictim() : nil
      ring.slots.append(slot)
      return victim
    }
    victim?.evict()
  }

  func unregister(_ slot: FileSlot) {
    ring.withLock { ring in
      if let index = ring.slots.firstIndex(where: { $0 === slot }) { _ = ring.slots.swapRemove(at: index) }
    }
  }
}

extension OpenFileCache.Ring {
  fileprivate mutating func removeVictim() -> FileSlot? {
    var dirty: Int?
    // Twice round: the first pass may clear every mark.
    for _ in 0..<(2 * slots.count) {
      hand = hand + 1 < slots.count ? hand + 1 : 0
      if slots[hand].takeRecentlyUsed() { continue }
      if !slots[hand].isDirty { return slots.swapRemove(at: hand) }
      if dirty == nil { dirty = hand }
    }
    return dirty.map { slots.swapRemove(at: $0) }
  }
}

extension Array {
  fileprivate mutating func swapRemove(at index: Int) -> Element {
    swapAt(index, count - 1)
    return removeLast()
  }
}
