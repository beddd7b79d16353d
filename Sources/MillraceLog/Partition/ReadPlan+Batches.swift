// What lies in a plan, for readers who choose among its batches: their headers, and a plan for those that were chosen.
// Still no record is read.

import MillraceRecords

/// A batch of a plan: what its header says, and where it is.
package struct PlannedBatch: Sendable {
  package let header: BatchHeader
  fileprivate let extent: FileExtent
}

extension ReadPlan {
  /// Calls `body` with each batch in order, until it returns false.
  package func forEachBatch(_ body: (PlannedBatch) -> Bool) throws(LogError) {
    for case .file(let extent) in extents {
      let goesOn = try HeaderScan.run(
        extent.file, from: extent.position, to: extent.position + Int64(extent.byteCount)
      ) { (scan) throws(LogError) -> Bool in
        while let header = try scan.peek() {
          let range = FileExtent(file: extent.file, position: scan.position, byteCount: header.sizeInBytes)
          guard body(PlannedBatch(header: header, extent: range)) else { return false }
          scan.skip(header)
        }
        return true
      }
      guard goesOn else { return }
    }
  }

  /// A plan for these batches of this one, which are in order. Neighbours become one extent.
  package func keeping(_ batches: [PlannedBatch]) -> ReadPlan {
    var extents: [FileExtent] = []
    for batch in batches {
      if let last = extents.last, last.file === batch.extent.file,
        last.position + Int64(last.byteCount) == batch.extent.position
      {
        extents[extents.count - 1].byteCount += batch.extent.byteCount
      } else {
        extents.append(batch.extent)
      }
    }
    var plan = self
    plan.extents = extents.map(Extent.file)
    plan.byteCount = extents.reduce(0) { $0 + $1.byteCount }
    plan.firstOffset = max(firstOffset, batches.first?.header.baseOffset ?? nextOffset)
    plan.nextOffset = batches.last.map { $0.header.lastOffset + 1 } ?? nextOffset
    return plan
  }
}
