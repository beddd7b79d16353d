// Failures of sockets as sentences.

import NIOCore
import NIOPosix

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

extension KafkaError {
  static func connectFailed(to address: BrokerAddress, _ error: any Error) -> KafkaError {
    if let error = error as? KafkaError { return error }
    if let error = TLSFailure.error(error, at: address) { return error }
    return KafkaError(.connectionFailed, "could not connect to \(address): \(reason(connecting: error))")
  }

  static func connectionLost(to address: BrokerAddress, _ error: (any Error)?) -> KafkaError {
    if let error = error as? KafkaError { return error }
    if let error, let failure = TLSFailure.error(error, at: address) { return failure }
    let why = error.map { ": \(reason($0))" } ?? ": the broker closed it"
    return KafkaError(.connectionFailed, "the connection to \(address) was lost\(why)")
  }

  private static func reason(connecting error: any Error) -> String {
    guard let error = error as? NIOConnectionError else { return reason(error) }
    // A name may stand for several addresses (::1 and 127.0.0.1): the last one tried speaks for them.
    if let last = error.connectionErrors.last { return reason(last.error) }
    return "the host name could not be resolved; check the spelling"
  }

  static func reason(_ error: any Error) -> String {
    switch error {
    case let error as IOError: reason(errno: error.errnoCode)
    case ChannelError.connectTimeout: "no answer in time; check host and port, and that no firewall is between"
    case ChannelError.eof: "the broker closed it"
    default: "\(error)"
    }
  }

  private static func reason(errno code: CInt) -> String {
    switch code {
    case ECONNREFUSED: "connection refused; is the broker running?"
    case ECONNRESET, EPIPE: "the broker reset it"
    case ETIMEDOUT: "no answer in time; check host and port, and that no firewall is between"
    case EHOSTUNREACH, ENETUNREACH: "the host cannot be reached"
    case EMFILE, ENFILE: "too many open files; raise the limit (ulimit -n)"
    case EACCES, EPERM: "the system does not permit it"
    case EADDRNOTAVAIL: "no local address or port is free for it"
    default: String(cString: strerror(code))
    }
  }
}
