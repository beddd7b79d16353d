// Log files to sockets: the only file that names NIO's FileRegion and NIOFileHandle, which NIO 3 will not have.
//
// A handle that is in use on one event loop fails with EBUSY on another and takes the client's connection with it, so
// every region gets a descriptor of its own (`dup`), closed when the region is sent or given up.

import MillraceLog
import NIOCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

enum FileTransfer {
  /// Queues a range of a log file to be sent with sendfile(2). False if there is no descriptor for it: the range has
  /// to be read instead.
  static func send(_ extent: FileExtent, on context: ChannelHandlerContext) -> Bool {
    // A file in memory has no descriptor.
    let descriptor = extent.file.withDescriptor { $0 < 0 ? $0 : dup($0) }
    guard descriptor >= 0 else { return false }
    let handle = NIOFileHandle(_deprecatedTakingOwnershipOfDescriptor: descriptor)
    let start = Int(extent.position)
    let region = FileRegion(fileHandle: handle, readerIndex: start, endIndex: start + extent.byteCount)
    let sent = context.eventLoop.makePromise(of: Void.self)
    sent.futureResult.whenComplete { _ in try? handle.close() }
    context.write(NIOAny(IOData.fileRegion(region)), promise: sent)
    return true
  }
}
