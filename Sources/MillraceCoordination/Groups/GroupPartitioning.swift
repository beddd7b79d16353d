// Which partition of __consumer_offsets a group lives in. Clients never compute this, but every broker that reads the
// log does: it has to be what Kafka computes, Java's String.hashCode over UTF-16 and all.

package enum GroupPartitioning {
  package static func partition(of groupId: String, count: Int32) -> Int32 {
    precondition(count > 0)
    var hash: Int32 = 0
    for unit in groupId.utf16 { hash = 31 &* hash &+ Int32(unit) }
    // As in Kafka, the one value without a positive counterpart counts as zero.
    return (hash == .min ? 0 : abs(hash)) % count
  }
}
