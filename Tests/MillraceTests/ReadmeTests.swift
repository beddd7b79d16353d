// The README's example is a package of its own (Sources/Examples/EmbeddedBroker), which tools/examples builds and runs.

import Foundation
import Testing

@Suite struct ReadmeTests {
  @Test func `the README prints the example package's program as it is`() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let program = try String(
      contentsOf: root.appending(path: "Sources/Examples/EmbeddedBroker/Sources/EmbeddedBroker/main.swift"),
      encoding: .utf8)
    let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
    #expect(program.contains("Broker.inMemory()"))
    #expect(readme.contains("```swift\n" + program + "```\n"))
  }
}
