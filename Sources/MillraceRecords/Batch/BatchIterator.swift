// Walks the batches of a byte region: a segment file's bytes, or what a fetch returned.
//
// A fetch ends wherever its byte limit fell, so a last batch that is cut off is the ordinary end; `truncatedByteCount`
// says how many bytes it left. A batch whose checksum is wrong is reported and can be passed over, since its length still
// leads to the next one. A length or a magic that no batch has leads nowhere: that error is the last thing yielded.

package struct BatchIterator {
  let region: UnsafeRawBufferPointer
  let verifiesChecksums: Bool
  /// Where the next batch begins.
  package private(set) var position = 0
  /// Bytes of a batch that the region cuts off, known when `next` has returned nil.
  package private(set) var truncatedByteCount = 0

  package init(_ region: UnsafeRawBufferPointer, verifiesChecksums: Bool = false) {
    self.region = region
    self.verifiesChecksums = verifiesChecksums
  }

  /// The next whole batch and where it lies in the region.
  package mutating func next() throws(BatchError) -> (batch: BatchView, range: Range<Int>)? {
    guard position < region.count else { return nil }
    let rest = UnsafeRawBufferPointer(rebasing: region[position...])
    let batch: BatchView
    do {
      batch = try BatchView(rest)
    } catch .truncated {
      truncatedByteCount = rest.count
      position = region.count
      return nil
    } catch {
      position = region.count
      throw error
    }
    let range = position..<(position + batch.bytes.count)
    position = range.upperBound
    if verifiesChecksums { try batch.verifyChecksum() }
    return (batch, range)
  }
}
