// Finishing a replacement of segments that a crash interrupted (PartitionLog+Swap).

import MillraceRecords

extension LogLoader {
  /// Puts `.swap` segments in their places, and removes the files that they replace. `names` is the directory's content;
  /// returns it as it is afterwards.
  func finishSwaps(_ names: [String]) throws(LogError) -> [String] {
    let swapped = names.filter { $0.hasSuffix(FileNames.swapSuffix) }
    guard !swapped.isEmpty else { return names }
    var remaining = Set(names)
    do {
      for name in swapped {
        let final = String(name.dropLast(FileNames.swapSuffix.count))
        guard let (base, kind) = FileNames.parse(final) else { continue }
        guard kind == .log else {
          // An index that goes with a log of this name, or with none: it is made anew.
          try fileSystem.removeIfPresent(directory.path(name))
          remaining.remove(name)
          continue
        }
        let end = try self.end(ofSwapped: directory.path(name), base: base)
        for other in remaining {
          guard let (offset, kind) = FileNames.parse(other), kind != .snapshot, offset >= base,
            offset < end || offset == base
          else { continue }
          try fileSystem.removeIfPresent(directory.path(other))
          remaining.remove(other)
        }
        try fileSystem.synchronizeDirectory(directory.path)
        try fileSystem.rename(directory.path(name), to: directory.path(final))
        remaining.remove(name)
        remaining.insert(final)
      }
      try fileSystem.synchronizeDirectory(directory.path)
    } catch { throw .storage(error) }
    return Array(remaining)
  }

  /// The offset behind the last batch in the file.
  private func end(ofSwapped path: String, base: Int64) throws(StorageError) -> Int64 {
    let file = SegmentFile(handle: try fileSystem.open(path, .read), fileSystem: fileSystem)
    let size = try file.size()
    var end = base
    do throws(LogError) {
      try HeaderScan.run(file, from: 0, to: size, blockSize: 64 << 10) { (scan) throws(LogError) in
        while let header = try scan.next() { end = max(end, header.nextOffset) }
      }
    } catch .storage(let error) {
      throw error
    } catch {
      // Damaged since: it replaces what it can be read for.
    }
    return end
  }
}
