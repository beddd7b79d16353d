import Glibc
import MillraceBroker
import MillraceLog
import NIOCore
import Synchronization
import Testing

@testable import MillraceServer

@Suite struct FileResponseTests {
  /// Answers with that much of the log: `[offset, kilobytes]`.
  private func broker(_ file: TestLog) -> FakeBroker {
    let log = file.log
    return FakeBroker { frame, _, slot in
      let request = Array(buffer: frame)
      do {
        let plan = try log.read(
          from: Int64(request[0]), maxBytes: Int(request[1]) * 100_000, minOneBatch: true, isolation: .readUncommitted)
        var bytes = ByteBuffer(integer: Int32(4 + plan.byteCount + 3))
        bytes.writeString("headend")
        slot.fulfil(
          .respond(OutgoingResponse(bytes: bytes, splices: [OutgoingResponse.Splice(offset: 8, plan: plan)])))
      } catch {
        slot.fulfil(.close(reason: "\(error)"))
      }
    }
  }

  private func expected(_ file: TestLog, _ offset: Int64, _ hundreds: Int) throws -> [UInt8] {
    try Array("head".utf8) + file.plan(from: offset, maxBytes: hundreds * 100_000).load() + Array("end".utf8)
  }

  @Test func `small and large parts of a log arrive as they are on disk`() async throws {
    let file = try TestLog(batches: 200, recordBytes: 30_000)
    try await withServer(broker(file)) { _, port in
      let client = try TestSocket(port: port)
      for (offset, hundreds) in [(0, 0), (3, 0), (5, 1), (100, 10), (0, 100), (7, 0), (0, 50)] as [(UInt8, UInt8)] {
        try await client.sendFrame([offset, hundreds])
        let got = try await client.receiveFrame()
        let wanted = try expected(file, Int64(offset), Int(hundreds))
        #expect(got == wanted, "offset \(offset)")
      }
    }
  }

  @Test func `a deleted log is still sent to those who were about to get it`() async throws {
    let file = try TestLog(batches: 200, recordBytes: 30_000)
    let wanted = try expected(file, 0, 60)
    let plan = try file.plan(from: 0, maxBytes: 6_000_000)
    let broker = FakeBroker { _, _, slot in
      var bytes = ByteBuffer(integer: Int32(4 + plan.byteCount + 3))
      bytes.writeString("headend")
      slot.fulfil(.respond(OutgoingResponse(bytes: bytes, splices: [OutgoingResponse.Splice(offset: 8, plan: plan)])))
    }
    try await withServer(broker, .test { $0.sendBufferBytes = 64 << 10 }) { _, port in
      let client = try TestSocket(port: port, receiveBufferBytes: 64 << 10)
      for _ in 0..<3 { try await client.sendFrame([1]) }
      try await Task.sleep(for: .milliseconds(50))
      try file.store.deletePartition(PartitionID(topic: "t", partition: 0), nowMs: 10)
      for _ in 0..<3 {
        let got = try await client.receiveFrame()
        #expect(got == wanted)
      }
    }
  }

  @Test func `slow readers hold few descriptors and no file content`() async throws {
    let file = try TestLog(batches: 200, recordBytes: 30_000)
    try await withServer(broker(file), .test { $0.sendBufferBytes = 64 << 10 }) { server, port in
      var clients: [TestSocket] = []
      let wanted = try expected(file, 0, 50)
      for _ in 0..<20 {
        let client = try TestSocket(port: port, receiveBufferBytes: 64 << 10)
        for _ in 0..<50 { try await client.sendFrame([0, 50]) }
        clients.append(client)
      }
      try await Task.sleep(for: .milliseconds(100))
      // 20 connections, both ends, one region each, and what the process has open anyway.
      #expect(openDescriptors(of: file) <= 1 + clients.count)
      for client in clients {
        let got = try await client.receiveFrame()
        #expect(got == wanted)
      }
      clients = []
      try await eventually { server.connectionCount == 0 }
      try await eventually { openDescriptors(of: file) <= 1 }
    }
  }

  /// How many descriptors of this process are files of the log.
  private func openDescriptors(of file: TestLog) -> Int {
    (0..<1024).count { descriptor in
      var path = [CChar](repeating: 0, count: 4096)
      let length = readlink("/proc/self/fd/\(descriptor)", &path, path.count - 1)
      guard length > 0 else { return false }
      let name = String(decoding: path.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      return name.hasPrefix(file.directory) && name.hasSuffix(".log")
    }
  }
}
