// Holds the sources to the rules that the compiler does not know: which module may import which, where system calls may
// be made, what a file may be called, and that nothing is left for later.
import Foundation
import Testing

@Suite("The shape of the sources")
struct ArchitectureTests {
  /// What each module may import. An arrow that is not here does not exist; it is added to Package.swift and here on purpose.
  static let allowed: [String: Set<String>] = [
    "MillraceProtocol": ["NIOCore"],
    "MillraceRecords": ["CMillraceCodecs"],
    "MillraceLog": ["MillraceRecords", "CMillraceSystem", "Collections"],
    // Of NIOCore only ByteBuffer: messages carry opaque bytes in it.
    "MillraceCoordination": ["MillraceProtocol", "NIOCore", "Collections"],
    "MillraceBroker": [
      "MillraceCoordination", "MillraceLog", "MillraceRecords", "MillraceProtocol", "NIOCore", "Logging", "Collections",
    ],
    "MillraceServer": ["MillraceBroker", "MillraceLog", "MillraceProtocol", "NIOCore", "NIOPosix", "Logging"],
    "MillraceClient": [
      "MillraceProtocol", "MillraceRecords", "NIOCore", "NIOPosix", "Logging", "ServiceLifecycle", "Metrics", "Tracing",
      // With the trait TLS.
      "NIOSSL", "NIOTLS", "Crypto",
    ],
    // Not a part of the program, which would be three times as large with Foundation.
    "MillraceJSON": ["MillraceClient", "NIOCore", "FoundationEssentials", "Foundation"],
    "Millrace": [
      "MillraceServer", "MillraceBroker", "MillraceClient", "MillraceProtocol", "MillraceLog", "NIOCore", "NIOPosix",
      "Logging", "ServiceLifecycle",
    ],
    "MillraceTesting": [
      "Millrace", "MillraceServer", "MillraceBroker", "MillraceClient", "MillraceLog", "MillraceProtocol", "NIOCore",
      "NIOPosix", "Logging",
    ],
    "MillraceCLI": [
      "Millrace", "MillraceClient", "MillraceServer", "MillraceBroker", "MillraceCoordination", "MillraceLog",
      "MillraceRecords",
      "MillraceProtocol", "NIOCore", "NIOPosix", "Logging", "ArgumentParser", "UnixSignals", "Subprocess",
    ],
    "OrderPipeline": [
      "Millrace", "MillraceClient", "MillraceTesting", "NIOCore", "Logging", "ServiceLifecycle", "UnixSignals",
      "ArgumentParser", "Foundation", "FoundationEssentials",
    ],
  ]
  /// Part of the language's distribution, free to use anywhere.
  static let everywhere: Set<String> = ["Swift", "Synchronization", "_Concurrency"]
  static let systemModules: Set<String> = ["CMillraceSystem", "Glibc", "Musl", "Darwin", "Android"]
  /// The only places that may make system calls. Everything else goes through them.
  static let systemCallers = [
    "Sources/MillraceLog/FileSystem/", "Sources/MillraceLog/Threads/", "Sources/MillraceServer/",
    "Sources/MillraceCLI/Terminal/", "Sources/OrderPipeline/Watching/Terminal.swift",
    // These read the clock.
    "Sources/MillraceBroker/Timing/BrokerClock.swift", "Sources/MillraceClient/Producer/Producer.swift",
    // The numbers of errno, to tell a refused connection from another.
    "Sources/MillraceClient/Connection/KafkaError+Connection.swift",
  ]
  /// Runs on a developer's machine and is no part of the program.
  static let developerTools: Set<String> = ["SchemaGenerator", "MessageSchema", "Fuzz"]
  /// Programs that show how to use the products, written as their users would.
  static let examples: Set<String> = ["OrderPipeline"]
  /// The folder of packages of their own, which see no more of this one than its products.
  static let examplePackages = "Examples"
  static let swiftFiles = try! SourceTree.files(under: "Sources")
  static var programFiles: [SourceFile] {
    swiftFiles.filter { !developerTools.contains($0.module) && $0.module != examplePackages }
  }

  @Test func `every module is in the table`() {
    let modules = Set(Self.programFiles.map(\.module))
    #expect(modules.count > 5, "the sources were not found")
    #expect(modules.subtracting(Self.allowed.keys).isEmpty)
  }

  /// The parts that Swift Collections can be imported by.
  static let collections: Set<String> = ["DequeModule", "HeapModule", "OrderedCollections", "BitCollections"]

  @Test func `a module imports only what the table allows`() {
    for file in Self.programFiles {
      var allowed = (Self.allowed[file.module] ?? []).union(Self.everywhere).union(Self.systemModules)
      if allowed.contains("Collections") { allowed.formUnion(Self.collections) }
      for module in file.imports where !allowed.contains(module) {
        Issue.record("\(file.path) imports \(module)")
      }
    }
  }

  @Test func `the table points only downwards`() {
    var settled: Set<String> = []
    var left = Self.allowed
    while !left.isEmpty {
      let next = left.filter { $0.value.allSatisfy { Self.allowed[$0] == nil || settled.contains($0) } }.map(\.key)
      guard !next.isEmpty else {
        Issue.record("these modules import each other in a circle: \(left.keys.sorted())")
        return
      }
      settled.formUnion(next)
      for module in next { left[module] = nil }
    }
  }

  @Test func `nothing in the program imports Foundation`() {
    for file in Self.programFiles where !Self.examples.contains(file.module) && file.module != "MillraceJSON" {
      for module in file.imports where module.hasPrefix("Foundation") {
        Issue.record("\(file.path) imports \(module), which makes the static program three times as large")
      }
    }
  }

  @Test func `system calls stay in their files`() {
    for file in Self.programFiles where !Self.systemCallers.contains(where: file.path.hasPrefix) {
      for module in file.imports where Self.systemModules.contains(module) {
        Issue.record("\(file.path) imports \(module)")
      }
    }
  }

  @Test func `file names say what is in the file`() throws {
    let vague = ["Util", "Utils", "Helper", "Helpers", "Manager", "Impl", "Base", "Misc", "Common"]
    for file in try Self.swiftFiles + SourceTree.files(under: "Tests") where !file.isGenerated {
      for word in vague where file.name == word || file.name.hasSuffix(word) {
        Issue.record("\(file.path)")
      }
    }
  }

  @Test func `nothing is left for later`() throws {
    let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]
    for file in try Self.swiftFiles + SourceTree.files(under: "Tests") {
      for (number, line) in file.lines.enumerated() {
        let words = line.split { !$0.isLetter }
        if words.contains(where: { marks.contains(String($0)) }) {
          Issue.record("\(file.path):\(number + 1): \(line.trimmingCharacters(in: .whitespaces))")
        }
      }
    }
  }

  @Test func `files stay small enough to be read at one go`() {
    for file in Self.programFiles where !file.isGenerated && file.lines.count > 600 {
      Issue.record("\(file.path) has \(file.lines.count) lines: look for the second thing in it")
    }
  }
}
