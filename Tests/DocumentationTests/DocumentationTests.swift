// Holds the documentation to code that is compiled: what the articles, the README and the documentation of types show in
// Swift is, line by line, in the files of `Snippets`, whose tests run the articles and the README against a broker.
import Foundation
import Testing

@Suite("The documentation")
struct DocumentationTests {
  @Test(arguments: try Document.all())
  func `every block of Swift is code of a test`(document: Document) throws {
    let snippets = try SnippetFile.all()
    #expect(snippets.count > 5, "the snippets were not found")
    for block in document.blocks where block.language == "swift" {
      #expect(
        snippets.contains { $0.contains(block) },
        "\(document.path):\(block.line): these lines are in no file of Snippets:\n\(block.lines.joined(separator: "\n"))"
      )
    }
  }

  /// What cannot be compiled is marked as something else, which has to be one of these.
  @Test(arguments: try Document.all())
  func `code is Swift, or for a shell`(document: Document) {
    guard document.path.contains(".docc/") else { return }
    for block in document.blocks where !["swift", "sh"].contains(block.language) {
      Issue.record("\(document.path):\(block.line): a block of '\(block.language)'")
    }
  }

  @Test func `all documents are found`() throws {
    let documents = try Document.all()
    for name in [
      "README", "MillraceClient", "Millrace", "MillraceTesting", "MillraceJSON", "FirstSteps",
      "ComingFromSwiftKafkaClient",
    ] {
      #expect(documents.contains { $0.path.hasSuffix("/\(name).md") || $0.path == "\(name).md" }, "\(name)")
    }
    #expect(documents.flatMap(\.blocks).count { $0.language == "swift" } > 70)
  }

  @Test func `a block that says something else is not found`() {
    let file = SnippetFile(
      text: """
        import MillraceClient

        func snippet() {
          let a = 1

          if a == 1 {
            print(a)
          }
        }
        """)
    func contains(_ text: String) -> Bool {
      file.contains(CodeBlock(language: "swift", line: 1, lines: text.components(separatedBy: "\n")))
    }
    #expect(contains("import MillraceClient\n\nlet a = 1\nif a == 1 {\n  print(a)\n}"))
    #expect(!contains("import Millrace\n\nlet a = 1"))
    #expect(!contains("let a = 2"))
    #expect(!contains("let a = 1\nprint(a)"))
    #expect(!contains("}\n}\n}"))
  }
}
