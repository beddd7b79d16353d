// Names of the files in a partition directory. A segment's files are its base offset in 20 digits and a suffix.

enum LogFileKind: String, Sendable, CaseIterable {
  case log = ".log"
  case index = ".index"
  case timeIndex = ".timeindex"
  case transactionIndex = ".txnindex"
  case snapshot = ".snapshot"
}

/// How far a segment that compaction writes has come.
enum FileStage: Int, Sendable {
  /// In its place.
  case final
  /// Being written; a crash takes it back.
  case cleaned
  /// Whole and durable: it takes the place of the segments whose offsets it covers, after a crash too.
  case swap

  var suffix: String {
    switch self {
    case .final: ""
    case .cleaned: FileNames.cleanedSuffix
    case .swap: FileNames.swapSuffix
    }
  }
}

enum FileNames {
  static let deletedSuffix = ".deleted"
  static let cleanedSuffix = ".cleaned"
  static let swapSuffix = ".swap"
  static let temporarySuffix = ".tmp"
  static let deletedDirectorySuffix = "-delete"
  static let strayDirectorySuffix = "-stray"
  /// There once a flush of the partition failed, until the bytes in question were written anew.
  static let flushFailed = ".flush-failed"
  static let leaderEpochs = "leader-epoch-checkpoint"
  static let partitionMetadata = "partition.metadata"

  private static let digits = 20

  /// For example `00000000000000000042.log`.
  static func name(_ offset: Int64, _ kind: LogFileKind) -> String {
    let number = String(offset)
    return String(repeating: "0", count: max(0, digits - number.utf8.count)) + number + kind.rawValue
  }

  /// Whether a file of this name is what a crash left of a deletion or a replacement.
  static func isLeftOver(_ name: String) -> Bool {
    name.hasSuffix(deletedSuffix) || name.hasSuffix(temporarySuffix) || name.hasSuffix(cleanedSuffix)
  }

  /// The offset and kind that a name stands for; nil for names that `name` never gives.
  static func parse(_ name: String) -> (offset: Int64, kind: LogFileKind)? {
    guard let dot = name.utf8.firstIndex(of: UInt8(ascii: ".")), let kind = LogFileKind(rawValue: String(name[dot...])),
      name.utf8.distance(from: name.startIndex, to: dot) == digits, let offset = Int64(name[..<dot]), offset >= 0
    else { return nil }
    return (offset, kind)
  }
}
