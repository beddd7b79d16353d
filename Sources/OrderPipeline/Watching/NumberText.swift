// Numbers as people read them.

extension BinaryInteger {
  /// With a comma between thousands.
  var grouped: String {
    let digits = String(magnitude)
    var text = ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return self < 0 ? "-" + text : text
  }
}

extension String {
  func padded(left width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
  func padded(right width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension Duration {
  /// Minutes and seconds, as a clock shows them.
  var clockText: String {
    let seconds = components.seconds
    return "\(seconds / 60):" + (seconds % 60 < 10 ? "0" : "") + "\(seconds % 60)"
  }

  /// Seconds with one digit behind the point.
  var secondsText: String {
    let tenths = Int((self / .milliseconds(100)).rounded())
    return "\(tenths / 10).\(tenths % 10)"
  }
}
