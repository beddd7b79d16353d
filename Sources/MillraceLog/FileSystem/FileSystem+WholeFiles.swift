// Small files read and written as a whole. A replacement is written beside the old file, made durable and renamed over
// it, so that after a crash there is the old content or the new, never a part.

extension FileSystem {
  /// The content of a small file, or nil when there is none. A file larger than `limit` is not one of ours.
  package func contents(of path: String, limit: Int = 256 << 20) throws(StorageError) -> [UInt8]? {
    let file: OpenFile
    do {
      file = try open(path, .read)
    } catch {
      if error.isNotFound { return nil }
      throw error
    }
    defer { close(file) }
    let size = Int(clamping: min(try size(of: file), Int64(limit)))
    var bytes = [UInt8](repeating: 0, count: size)
    let count = try bytes.withMutableBytes { (buffer) throws(StorageError) in
      try read(file, into: buffer, at: 0)
    }
    bytes.removeLast(size - count)
    return bytes
  }

  /// Puts `bytes` in the place of the file at `path`. Durable on return when `isDurable`; otherwise only whole.
  package func replaceFile(
    at path: String, in directory: String, with bytes: [UInt8], isDurable: Bool = true
  ) throws(StorageError) {
    let temporary = path + ".tmp"
    let file = try open(temporary, .replace)
    do {
      defer { close(file) }
      try bytes.withBytes { (buffer) throws(StorageError) in try write(file, buffer, at: 0) }
      if isDurable { try synchronize(file) }
    }
    try rename(temporary, to: path)
    if isDurable { try synchronizeDirectory(directory) }
  }

  /// Removes what may or may not be there.
  package func removeIfPresent(_ path: String) throws(StorageError) {
    do {
      try remove(path)
    } catch {
      if !error.isNotFound { throw error }
    }
  }
}
