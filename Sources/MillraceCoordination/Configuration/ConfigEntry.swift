// A key and its value as somebody wrote them, with the place: a file and line, a flag, an environment variable.

package struct ConfigEntry: Sendable, Equatable {
  package let name: String
  package let value: String
  /// As an error shows it: `config/server.properties:12`, `--set`, `MILLRACE_LOG_DIRS`.
  package let origin: String

  package init(name: String, value: String, origin: String) {
    self.name = name
    self.value = value
    self.origin = origin
  }
}
