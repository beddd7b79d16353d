// Why a broker cannot start with the configuration that it was given: everything that is wrong, each with the place
// where somebody wrote it and with what to do.

package struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
  package let problems: [String]

  package var description: String { problems.joined(separator: "\n") }
}
