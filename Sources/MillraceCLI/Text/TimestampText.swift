// Kafka timestamps (milliseconds since the epoch) as text in UTC, and back. The calendar is the proleptic Gregorian one;
// the day arithmetic counts years from March, so that a leap day is the last day of its year.

struct TimestampText {
  /// `2026-03-01T12:30:00.250Z`
  static func iso8601(_ milliseconds: Int64) -> String {
    let (days, ofDay) = floorDivide(milliseconds, 86_400_000)
    let (year, month, day) = civil(fromDays: days)
    let seconds = ofDay / 1000
    return
      "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T\(pad(seconds / 3600, 2)):\(pad(seconds / 60 % 60, 2)):\(pad(seconds % 60, 2))"
      + ".\(pad(ofDay % 1000, 3))Z"
  }

  /// `2026-03-01 12:30:00:250`, the form of Kafka's performance tools.
  static func performanceTool(_ milliseconds: Int64) -> String {
    let text = Array(iso8601(milliseconds).dropLast())
    return String(text.map { $0 == "T" ? " " : $0 == "." ? ":" : $0 })
  }

  /// Reads `2026-03-01`, `2026-03-01T12:30`, `…:00`, `….250`, each with `Z`, `+02:00`, `+0200` or nothing (UTC) behind;
  /// nil if it is none of these.
  static func parse(_ text: String) -> Int64? {
    var scanner = Scanner(text)
    guard let year = scanner.digits(4), scanner.take("-"), let month = scanner.digits(2), scanner.take("-"),
      let day = scanner.digits(2), (1...12).contains(month), (1...daysInMonth(year, month)).contains(day)
    else { return nil }
    var milliseconds = daysFromCivil(year, month, day) * 86_400_000
    if scanner.take("T") || scanner.take(" ") {
      guard let hour = scanner.digits(2), scanner.take(":"), let minute = scanner.digits(2), hour < 24, minute < 60
      else { return nil }
      milliseconds += hour * 3_600_000 + minute * 60_000
      if scanner.take(":") {
        guard let second = scanner.digits(2), second < 61 else { return nil }
        milliseconds += second * 1000
        if scanner.take(".") {
          guard let fraction = scanner.fraction() else { return nil }
          milliseconds += fraction
        }
      }
    }
    if !scanner.take("Z"), let sign: Int64 = scanner.take("+") ? 1 : scanner.take("-") ? -1 : nil {
      guard let hours = scanner.digits(2) else { return nil }
      _ = scanner.take(":")
      guard let minutes = scanner.digits(2), hours < 24, minutes < 60 else { return nil }
      milliseconds -= sign * (hours * 3_600_000 + minutes * 60_000)
    }
    return scanner.isAtEnd ? milliseconds : nil
  }

  private static func pad(_ value: Int64, _ width: Int) -> String {
    let digits = String(value.magnitude)
    let zeros = String(repeating: "0", count: max(0, width - digits.count))
    return (value < 0 ? "-" : "") + zeros + digits
  }

  private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }

  private static func civil(fromDays days: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
  }

  private static func daysFromCivil(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let (era, yearOfEra) = floorDivide(month <= 2 ? year - 1 : year, 400)
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func daysInMonth(_ year: Int64, _ month: Int64) -> Int64 {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private struct Scanner {
    var rest: Substring.UTF8View
    init(_ text: String) { rest = text[...].utf8 }
    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
      guard rest.first == UInt8(ascii: character) else { return false }
      rest.removeFirst()
      return true
    }

    mutating func digits(_ count: Int) -> Int64? {
      var value: Int64 = 0
      for _ in 0..<count {
        guard let digit = nextDigit() else { return nil }
        value = value * 10 + digit
      }
      return value
    }

    /// The digits behind a decimal point as milliseconds; what is finer is dropped.
    mutating func fraction() -> Int64? {
      guard var value = nextDigit() else { return nil }
      var places = 1
      while let digit = nextDigit() {
        if places < 3 { value = value * 10 + digit }
        places += 1
      }
      while places < 3 {
        value *= 10
        places += 1
      }
      return value
    }

    private mutating func nextDigit() -> Int64? {
      guard let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      rest.removeFirst()
      return Int64(byte - UInt8(ascii: "0"))
    }
  }
}
