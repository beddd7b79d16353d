// A disk in memory that knows of everything written whether it was made durable, and what may be left of the rest when
// the power is cut. A value: keeping one for every system call of a workload costs what changed in between.
//
// What a cut may leave is what POSIX allows and disks do:
//
//   - of a file's writes since its last flush any, page by page, as any of the versions a page had, torn at 512 bytes;
//   - any of the lengths that the file had since, with zeros where no page arrived;
//   - of a directory's changes since its last flush some, in order or not; a rename is there or not, never half.

struct SimulatedDisk {
  static let pageSize = 4096
  static let sectorSize = 512

  struct File {
    var bytes: [UInt8] = []
    /// The versions since the last flush, the durable one first; the newest is `bytes`.
    var versions: [[UInt8]] = [[]]
    var isDirty = false

    mutating func change(_ body: (inout [UInt8]) -> Void) {
      body(&bytes)
      versions.append(bytes)
      isDirty = true
    }

    mutating func synchronize() {
      versions = [bytes]
      isDirty = false
    }
  }

  enum Change {
    case add(String, node: Int)
    case remove(String, node: Int)
    case rename(String, String, node: Int)
  }

  struct Directory {
    var entries: [String: Int] = [:]
    var durable: [String: Int] = [:]
    var pending: [Change] = []

    mutating func change(_ change: Change) {
      Self.apply(change, to: &entries)
      pending.append(change)
    }

    mutating func synchronize() {
      durable = entries
      pending = []
    }

    static func apply(_ change: Change, to entries: inout [String: Int]) {
      switch change {
      case .add(let name, let node): entries[name] = node
      case .remove(let name, let node): if entries[name] == node { entries[name] = nil }
      case .rename(let from, let to, let node):
        if entries[from] == node { entries[from] = nil }
        entries[to] = node
      }
    }
  }

  static let root = 0
  var files: [Int: File] = [:]
  var directories: [Int: Directory] = [Self.root: Directory()]
  private var nextNode = 1

  mutating func newFile() -> Int {
    defer { nextNode += 1 }
    files[nextNode] = File()
    return nextNode
  }

  mutating func newDirectory() -> Int {
    defer { nextNode += 1 }
    directories[nextNode] = Directory()
    return nextNode
  }

  mutating func synchronizeAll(files flushesFiles: Bool, directories flushesDirectories: Bool) {
    if flushesFiles {
      for node in files.keys where files[node]?.isDirty == true { files[node]?.synchronize() }
    }
    if flushesDirectories {
      for node in directories.keys { directories[node]?.synchronize() }
    }
  }

  // MARK: The cut

  /// How much of what was not flushed is left.
  enum Survival: CaseIterable {
    case nothing, everything
    /// The writes and changes before some moment, the last write torn.
    case prefix
    /// Pages and directory entries each for itself.
    case arbitrary
    /// The names but not the bytes, and the other way round.
    case names, bytes
  }

  func afterPowerCut(_ survival: Survival, using random: inout SeededGenerator) -> SimulatedDisk {
    var disk = SimulatedDisk()
    disk.nextNode = nextNode
    disk.directories = [:]
    keep(Self.root, survival, in: &disk, &random)
    return disk
  }

  private func keep(
    _ node: Int, _ survival: Survival, in disk: inout SimulatedDisk, _ random: inout SeededGenerator
  ) {
    if let directory = directories[node] {
      var entries = directory.durable
      for change in Self.survivors(directory.pending, survival, &random) { Directory.apply(change, to: &entries) }
      disk.directories[node] = Directory(entries: entries, durable: entries)
      for child in entries.keys.sorted().map({ entries[$0]! })
      where disk.files[child] == nil && disk.directories[child] == nil {
        keep(child, survival, in: &disk, &random)
      }
    } else if let file = files[node] {
      let bytes = Self.survivor(of: file, survival, &random)
      disk.files[node] = File(bytes: bytes, versions: [bytes])
    }
  }

  private static func survivors(
    _ changes: [Change], _ survival: Survival, _ random: inout SeededGenerator
  ) -> [Change] {
    switch survival {
    case .nothing, .bytes: []
    case .everything, .names: changes
    case .prefix: Array(changes.prefix(Int.random(in: 0...changes.count, using: &random)))
    case .arbitrary: changes.filter { _ in Bool.random(using: &random) }
    }
  }

  private static func survivor(
    of file: File, _ survival: Survival, _ random: inout SeededGenerator
  ) -> [UInt8] {
    let versions = file.versions
    guard versions.count > 1 else { return file.bytes }
    switch survival {
    case .nothing, .names: return versions[0]
    case .everything, .bytes: return file.bytes
    case .prefix:
      let last = Int.random(in: 0..<versions.count, using: &random)
      guard last > 0, Bool.random(using: &random) else { return versions[last] }
      return mixed([versions[last - 1], versions[last]], unit: sectorSize, &random)
    case .arbitrary:
      return mixed(versions, unit: Bool.random(using: &random) ? pageSize : sectorSize, &random)
    }
  }

  /// Each unit of the file as it was in one of the versions, and the length of one of them.
  private static func mixed(
    _ versions: [[UInt8]], unit: Int, _ random: inout SeededGenerator
  ) -> [UInt8] {
    let size = versions.randomElement(using: &random)!.count
    var bytes = [UInt8](repeating: 0, count: size)
    for start in stride(from: 0, to: size, by: unit) {
      let version = versions.randomElement(using: &random)!
      let end = min(start + unit, size, version.count)
      if start < end { bytes.replaceSubrange(start..<end, with: version[start..<end]) }
    }
    return bytes
  }
}
