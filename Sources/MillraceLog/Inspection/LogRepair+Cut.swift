// Taking damage out of a segment. The segment is written anew beside the old one and takes its place by one rename, so a
// crash at any point finds the damage as it was, or gone:
//
//   1. the damaged bytes in files of their own, durable    `00000000000000000000.log.cut-<position>`
//   2. the segment without them, durable                   `….log.cleaned`: a start removes it
//   3. its offset and time index removed, durably          a start makes them anew
//   4. renamed to `….log`, durably
//
// The files of step 1 have names that no broker looks at, and go when the partition is deleted.

import MillraceRecords

extension LogRepair {
  private static let chunk: Int64 = 1 << 20

  /// Takes the damage of `segment` out of it. Returns the files in which the damaged bytes were kept, if they were to be.
  /// Needs room for the segment once more.
  package func cut(_ segment: DamagedSegment, keepingBytes: Bool) throws(LogError) -> [String] {
    let source = SegmentFile(
      handle: try LogError.wrap(try fileSystem.open(segment.path, .read)), fileSystem: fileSystem)
    let cleaned = segment.path + FileNames.cleanedSuffix
    var kept: [String] = []
    do throws(LogError) {
      if keepingBytes {
        for loss in segment.losses where loss.byteCount > 0 {
          let path = try freeName("\(segment.path).cut-\(loss.position)")
          kept.append(path)
          try write(path) { (output) throws(LogError) in
            try copy(source, loss.position..<loss.end, to: &output)
          }
        }
      }
      try write(cleaned) { (output) throws(LogError) in
        var position: Int64 = 0
        for loss in segment.losses {
          try copy(source, position..<loss.position, to: &output)
          if let placeholder = loss.placeholder { try output.write(placeholder) }
          position = loss.end
        }
        try copy(source, position..<(try LogError.wrap(try source.size())), to: &output)
      }
      try synchronizeDirectory()
    } catch {
      // As it was, as far as the disk still does what it is told.
      for path in kept + [cleaned] { try? fileSystem.removeIfPresent(path) }
      throw error
    }
    for kind in [LogFileKind.index, .timeIndex] {
      try LogError.wrap(try fileSystem.removeIfPresent("\(directory)/\(FileNames.name(segment.baseOffset, kind))"))
    }
    try synchronizeDirectory()
    try LogError.wrap(try fileSystem.rename(cleaned, to: segment.path))
    try synchronizeDirectory()
    return kept
  }

  private func synchronizeDirectory() throws(LogError) {
    try LogError.wrap(try fileSystem.synchronizeDirectory(directory))
  }

  /// What an earlier cut kept is not written over.
  private func freeName(_ wanted: String) throws(LogError) -> String {
    var name = wanted
    var number = 1
    while try LogError.wrap(try fileSystem.status(of: name)) != nil {
      number += 1
      name = "\(wanted)-\(number)"
    }
    return name
  }

  /// A file that is written from its start to its end.
  private struct Output {
    let file: SegmentFile
    var position: Int64 = 0

    mutating func write(_ bytes: [UInt8]) throws(LogError) {
      try bytes.withBytes { (buffer) throws(LogError) in try write(buffer) }
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws(LogError) {
      try LogError.wrap(try file.write(bytes, at: position))
      position += Int64(bytes.count)
    }
  }

  private func write(_ path: String, _ body: (inout Output) throws(LogError) -> Void) throws(LogError) {
    let file = SegmentFile(handle: try LogError.wrap(try fileSystem.open(path, .replace)), fileSystem: fileSystem)
    var output = Output(file: file)
    try body(&output)
    try LogError.wrap(try file.synchronize())
  }

  private func copy(_ source: SegmentFile, _ range: Range<Int64>, to output: inout Output) throws(LogError) {
    var position = range.lowerBound
    while position < range.upperBound {
      var bytes = [UInt8](repeating: 0, count: Int(min(range.upperBound - position, Self.chunk)))
      try bytes.withMutableBytes { (buffer) throws(LogError) in try source.fill(buffer, from: position) }
      try output.write(bytes)
      position += Int64(bytes.count)
    }
  }
}

extension LogRepair.Loss {
  /// A batch without records that has the lost offsets; nil when there are none.
  var placeholder: [UInt8]? {
    guard !offsets.isEmpty, let delta = Int32(exactly: offsets.upperBound - offsets.lowerBound - 1) else { return nil }
    return BatchHeader(
      baseOffset: offsets.lowerBound, partitionLeaderEpoch: leaderEpoch, lastOffsetDelta: delta,
      maxTimestamp: timestamp
    ).emptied()
  }
}
