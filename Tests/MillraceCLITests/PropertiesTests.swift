import Testing

@testable import MillraceCLI

@Suite("The properties format")
struct PropertiesTests {
  private func parse(_ text: String) throws -> [String] {
    try Properties.parse(text, file: "x.properties").map { "\($0.line):\($0.name)=\($0.value)" }
  }

  @Test func `names and values are parted by an equals sign, a colon or a space`() throws {
    #expect(
      try parse("a=1\nb: 2\nc 3\n  d  =  4  \ne\nf==5\ng = :6") == [
        "1:a=1", "2:b=2", "3:c=3", "4:d=4  ", "5:e=", "6:f==5", "7:g=:6",
      ])
  }

  @Test func `comments and empty lines say nothing, whatever the line ends`() throws {
    #expect(try parse("# a=1\r\n\r\n   ! b=2\r\nc=3\r\n") == ["4:c=3"])
  }

  @Test func `a backslash at the end continues the line`() throws {
    #expect(try parse("listeners=A://:1,\\\n    B://:2\nnext=1") == ["1:listeners=A://:1,B://:2", "3:next=1"])
    #expect(try parse("path=C:\\\\\nnext=1") == ["1:path=C:\\", "2:next=1"])
    #expect(try parse("a=b\\") == ["1:a=b"])
  }

  @Test func `escapes stand for their characters`() throws {
    #expect(try parse(#"a\ b\==x\ty\u00e9\ud83d\ude00\q"#) == ["1:a b==x\tyé😀q"])
  }

  @Test(arguments: [#"a=\u12"#, #"a=\uzzzz"#, #"a=\ud800"#])
  func `a broken escape is an error at its line`(text: String) {
    #expect {
      try Properties.parse("ok=1\n" + text, file: "server.properties")
    } throws: {
      "\($0)".hasPrefix("server.properties:2: ")
    }
  }
}
