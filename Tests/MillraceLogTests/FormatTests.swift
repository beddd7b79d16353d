import MillraceRecords
import Testing

@testable import MillraceLog

@Suite struct FormatTests {
  /// Three batches of some 5 kB, so that the second and the third get index entries.
  private func largeBatches() -> [[UInt8]] {
    (0..<3).map { index in
      batch(
        [String(repeating: "x", count: 5000), "last"], timestamp: 1_700_000_000_000 + Int64(index) * 1000, step: 10)
    }
  }

  @Test func `a segment's log holds the batches with offset and leader epoch stamped and the rest as sent`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    let sent = batch(["hello", "world"])
    try log.append(sent, epoch: 7)
    try log.append(sent, epoch: 7)
    store.close(nowMs: workspace.now)

    let bytes = workspace.bytes("00000000000000000000.log")
    #expect(bytes.count == 2 * sent.count)
    var fields = Fields(Array(bytes[sent.count...]))
    #expect(fields.next(Int64.self) == 2)  // base offset
    #expect(fields.next(Int32.self) == Int32(sent.count - 12))  // batch length
    #expect(fields.next(Int32.self) == 7)  // partition leader epoch
    #expect(fields.next(Int8.self) == 2)  // magic
    // The checksum and all it covers are the producer's.
    #expect(Array(bytes[(sent.count + 17)...]) == Array(sent[17...]))
  }

  @Test func `LogAppendTime is stamped and covered by a new checksum`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(timestampType: .logAppendTime))
    let result = try log.append(batch(["a"]), now: 1_800_000_000_000)
    #expect(result.logAppendTime == 1_800_000_000_000)
    store.close(nowMs: workspace.now)
    let bytes = workspace.bytes("00000000000000000000.log")
    try bytes.withUnsafeBytes { buffer in
      let view = try BatchView(buffer)
      try view.verifyChecksum()
      #expect(view.header.maxTimestamp == 1_800_000_000_000)
      #expect(view.header.timestampType == .logAppendTime)
    }
  }

  @Test func `index entries hold the last offset of a batch and where it begins`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    let batches = largeBatches()
    for batch in batches { try log.append(batch) }
    store.close(nowMs: workspace.now)

    var fields = Fields(workspace.bytes("00000000000000000000.index"))
    #expect(fields.next(Int32.self) == 3)
    #expect(fields.next(Int32.self) == Int32(batches[0].count))
    #expect(fields.next(Int32.self) == 5)
    #expect(fields.next(Int32.self) == Int32(batches[0].count + batches[1].count))
    #expect(fields.isAtEnd)
  }

  @Test func `time index entries hold the largest timestamp so far and the last offset of its batch`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    for batch in largeBatches() { try log.append(batch) }
    try log.append(batch(["young"], timestamp: 1_700_000_009_000))
    try log.roll(nowMs: workspace.now)
    store.close(nowMs: workspace.now)

    var fields = Fields(workspace.bytes("00000000000000000000.timeindex"))
    #expect(fields.next(Int64.self) == 1_700_000_001_010)
    #expect(fields.next(Int32.self) == 3)
    #expect(fields.next(Int64.self) == 1_700_000_002_010)
    #expect(fields.next(Int32.self) == 5)
    // Closing the segment adds the largest.
    #expect(fields.next(Int64.self) == 1_700_000_009_000)
    #expect(fields.next(Int32.self) == 6)
    #expect(fields.isAtEnd)
  }

  @Test func `a snapshot holds each producer in Kafka's version 1 with its checksum`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["a", "b"], timestamp: 5000, producerId: 77, epoch: 3, sequence: 0))
    try log.append(batch(["c", "d", "e"], timestamp: 6000, producerId: 77, epoch: 3, sequence: 2))
    try log.roll(nowMs: workspace.now)
    store.close(nowMs: workspace.now)

    let bytes = workspace.bytes("00000000000000000005.snapshot")
    var fields = Fields(bytes)
    #expect(fields.next(Int16.self) == 1)  // version
    let covered = Array(bytes[6...]).withUnsafeBytes { CRC32C.checksum($0) }
    #expect(fields.next(UInt32.self) == covered)
    #expect(fields.next(Int32.self) == 1)  // entries
    #expect(fields.next(Int64.self) == 77)  // producer id
    #expect(fields.next(Int16.self) == 3)  // epoch
    #expect(fields.next(Int32.self) == 4)  // last sequence
    #expect(fields.next(Int64.self) == 4)  // last offset
    #expect(fields.next(Int32.self) == 2)  // offset delta
    #expect(fields.next(Int64.self) == 6000)  // timestamp
    #expect(fields.next(Int32.self) == -1)  // coordinator epoch
    #expect(fields.next(Int64.self) == -1)  // first offset of the open transaction
    // Behind what Kafka reads: the batches before the last.
    #expect(fields.next(UInt32.self) == 0x4D49_4C4C)
    #expect(fields.next(Int32.self) == 1)
    #expect(fields.next(Int64.self) == 77)
    #expect(fields.next(Int32.self) == 1)
    #expect(fields.next(Int64.self) == 1)
    #expect(fields.next(Int32.self) == 1)
    #expect(fields.next(Int64.self) == 5000)
    #expect(fields.isAtEnd)
  }

  @Test func `the files of a data directory are Kafka's, line by line`() throws {
    let workspace = Workspace()
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["a", "b", "c"]), epoch: 4)
    try log.settle()
    _ = try log.deleteRecords(before: 2, nowMs: workspace.now)
    store.close(nowMs: workspace.now)
    func text(_ name: String) -> String { String(decoding: workspace.root(name), as: UTF8.self) }

    #expect(text("recovery-point-offset-checkpoint") == "0\n1\norders 0 3\n")
    #expect(text("replication-offset-checkpoint") == "0\n1\norders 0 3\n")
    #expect(text("log-start-offset-checkpoint") == "0\n1\norders 0 2\n")
    #expect(text(".kafka_cleanshutdown") == #"{"version":0,"brokerEpoch":-1}"#)
    #expect(text("orders-0/leader-epoch-checkpoint") == "0\n1\n4 2\n")
    #expect(text("orders-0/partition.metadata") == "version: 0\ntopic_id: \(workspace.topicId)")
    let properties = text("meta.properties").split(separator: "\n")
    #expect(properties[0] == "version=1")
    #expect(properties[1] == "node.id=1")
    #expect(properties[2] == "cluster.id=\(store.clusterId)")
    #expect(properties[3].hasPrefix("directory.id=") && TopicID(properties[3].dropFirst(13)) != nil)
  }

  @Test func `topic ids are the base64 that Kafka prints`() throws {
    // base64url of the 16 bytes, made with another program.
    let id = TopicID(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff)
    #expect(id.description == "ABEiM0RVZneImaq7zN3u_w")
    #expect(TopicID("ABEiM0RVZneImaq7zN3u_w") == id)
    #expect(TopicID("ABEiM0RVZneImaq7zN3u_") == nil)
    #expect(TopicID("ABEiM0RVZneImaq7zN3u/w") == nil)
    // The last character has four bits to spare, which are zero.
    #expect(TopicID("ABEiM0RVZneImaq7zN3u_x") == nil)
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<100 {
      let id = TopicID.random(using: &generator)
      #expect(TopicID(id.description) == id)
    }
  }

  @Test func `a directory is a partition only if its name is one that a partition gets`() {
    #expect(PartitionID(directoryName: "a-b-12") == PartitionID(topic: "a-b", partition: 12))
    #expect(PartitionID(directoryName: "__consumer_offsets-0")?.partition == 0)
    for name in [
      "orders", "-1", "orders-", "orders-01", "orders-x", "orders--1", "orders-0.abc-delete", "a-99999999999",
    ] {
      let id = PartitionID(directoryName: name)
      #expect(id == nil || id?.description == name, "\(name)")
    }
    #expect(PartitionID(directoryName: "orders-01") == nil)
    #expect(PartitionID(directoryName: "orders-0.abc-delete") == nil)
  }

  @Test func `a checkpoint file that is not whole says nothing`() {
    func decode(_ text: String) -> [PartitionID: Int64]? { OffsetCheckpoint.decode(Array(text.utf8)) }
    #expect(decode("0\n1\norders 0 3\n") == [PartitionID(topic: "orders", partition: 0): 3])
    #expect(decode("0\n0\n") == [:])
    for text in [
      "", "0", "1\n0\n", "0\n2\norders 0 3\n", "0\n1\norders 0\n", "0\n1\norders 0 -3\n", "0\n1\norders x 3\n",
    ] {
      #expect(decode(text) == nil, "\(text)")
    }
    #expect(OffsetCheckpoint.decode([0xff, 0xfe, 0]) == nil)
  }
}
