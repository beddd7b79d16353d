// Numbers as the printf of Kafka's tools writes them.

/// `value` with exactly `places` digits after the point (`%.2f`).
func fixedPoint(_ value: Double, places: Int) -> String {
  guard value.isFinite else { return value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity" }
  var scale: UInt64 = 1
  for _ in 0..<min(places, 9) { scale *= 10 }
  let scaled = (value.magnitude * Double(scale)).rounded(.toNearestOrEven)
  guard scaled < 9.0e18 else { return String(value) }
  let (whole, fraction) = UInt64(scaled).quotientAndRemainder(dividingBy: scale)
  let sign = value < 0 && scaled > 0 ? "-" : ""
  guard places > 0 else { return "\(sign)\(whole)" }
  let digits = String(fraction)
  return "\(sign)\(whole).\(String(repeating: "0", count: min(places, 9) - digits.count))\(digits)"
}

/// A count of bytes for a person: `17.8 MB`.
func byteText(_ count: Int64) -> String {
  let units = ["B", "KB", "MB", "GB", "TB", "PB"]
  var value = Double(count)
  var unit = 0
  while value.magnitude >= 1000, unit < units.count - 1 {
    value /= 1000
    unit += 1
  }
  return unit == 0 ? "\(count) B" : "\(fixedPoint(value, places: 1)) \(units[unit])"
}
