// The README's example, compiled and run as it is printed.

import Foundation
import Millrace
import MillraceClient
import Testing

@Suite struct ReadmeTests {
  @Test func `the embedded broker's example runs as the README prints it`() async throws {
    // begin
    let broker = Broker.inMemory()
    try await broker.start()

    let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
    let written = try await producer.send(ProducerRecord(topic: "orders", key: "o-1", value: "12.50"))
    print("order o-1 is at offset \(written.offset)")
    await producer.close()

    await broker.stop()
    // end

    let source = try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)
    let parts = source.components(separatedBy: "    // begin\n")
    let body = try #require(parts.last?.components(separatedBy: "    // end\n").first)
    let example = body.split(separator: "\n", omittingEmptySubsequences: false).map { $0.dropFirst(4) }
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
    #expect(readme.contains("import Millrace\nimport MillraceClient\n\n" + example.joined(separator: "\n") + "```"))
  }
}
