// The operations a client may do, as the bit field of KIP-430: bit n is operation n of the ACL model. Without an
// authorizer everybody may do everything that the resource knows.

enum AuthorizedOperations {
  /// The client did not ask.
  static let notRequested = Int32.min

  /// READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS
  static let topic = bits(3, 4, 5, 6, 7, 8, 10, 11)
  /// CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE
  static let cluster = bits(5, 7, 8, 9, 10, 11, 12)
  /// READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS
  static let group = bits(3, 6, 8, 10, 11)

  private static func bits(_ operations: Int32...) -> Int32 { operations.reduce(0) { $0 | 1 << $1 } }
}
