// Why a server does not start, in words for the person who started it.

package enum ServerError: Error, Sendable, Equatable, CustomStringConvertible {
  case addressInUse(String)
  case addressNotAvailable(String)
  case permissionDenied(String)
  case unknownHost(String)
  case cannotListen(String, reason: String)
  case cannotConnectInProcess(reason: String)

  package var description: String {
    switch self {
    case .addressInUse(let address): "\(address) is in use: stop the other program or choose --listeners"
    case .addressNotAvailable(let address): "\(address) is not an address of this machine: choose --listeners"
    case .permissionDenied(let address):
      "\(address) may not be used by this user (ports below 1024 are privileged): choose --listeners"
    case .unknownHost(let host): "the host name \(host) is not known: choose --listeners"
    case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
    case .cannotConnectInProcess(let reason):
      "cannot connect to the broker of this process: \(reason); if files are the trouble, raise the limit (ulimit -n)"
    }
  }
}
