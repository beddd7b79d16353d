// The four bytes before a frame: how many follow.

public enum FrameLength {
  /// How many bytes the prefix takes itself.
  public static let byteCount = 4

  public struct Refused: Error, Equatable, Sendable {
    public var length: Int32
    public var maximum: Int

    public init(length: Int32, maximum: Int) {
      self.length = length
      self.maximum = maximum
    }
  }

  /// The length as a count, or an error when it is negative or over `maximum`.
  public static func check(_ length: Int32, maximum: Int) throws(Refused) -> Int {
    guard length >= 0, Int(length) <= maximum else { throw Refused(length: length, maximum: maximum) }
    return Int(length)
  }
}
