// An entry of `listeners` with what clients are told about it.
//
//     PLAINTEXT://localhost:9092     127.0.0.1 and ::1
//     PLAINTEXT://:9092              every address of the machine, as are 0.0.0.0 and [::]
//     INSIDE://[fd00::7]:9092        one IPv6 address
//
// What is advertised is the entry of `advertised.listeners` with the same name; else the listener's own host and
// port, and for a listener on every address the name of the machine.

import MillraceCoordination

package struct BrokerListener: Sendable, Hashable {
  package var name: String
  /// Without brackets; empty for every address of the machine.
  package var host: String
  /// 0 takes a free port.
  package var port: UInt16
  package var advertisedHost: String
  /// 0: the port that was bound.
  package var advertisedPort: UInt16

  package init(
    name: String = "PLAINTEXT", host: String, port: UInt16, advertisedHost: String? = nil,
    advertisedPort: UInt16? = nil
  ) {
    self.name = name
    self.host = host
    self.port = port
    self.advertisedHost = advertisedHost ?? host
    self.advertisedPort = advertisedPort ?? port
  }
}

extension ConfigurationReader {
  /// The client listeners, `listeners` in order. Those of the controller are left out: there is no other controller.
  mutating func listeners(hostName: String) -> [BrokerListener] {
    let controllerNames = Set(list("controller.listener.names").map { $0.uppercased() })
    let protocols = securityProtocols()
    let advertised = addresses("advertised.listeners").filter { !controllerNames.contains($0.name) }
    var listeners: [BrokerListener] = []
    for address in addresses("listeners") where !controllerNames.contains(address.name) {
      guard let security = protocols[address.name] else {
        reject(
          "listeners",
          """
          Listener '\(address.name)' has no security protocol: add \(address.name):PLAINTEXT to \
          listener.security.protocol.map.
          """
        )
        continue
      }
      guard security == "PLAINTEXT" else {
        reject(
          "listeners", "Listener '\(address.name)' is \(security), but this broker serves PLAINTEXT listeners only.")
        continue
      }
      if listeners.contains(where: { $0.name == address.name }) {
        reject("listeners", "Listener '\(address.name)' is there twice: every listener needs a name of its own.")
        continue
      }
      if let other = listeners.first(where: { $0.port == address.port && $0.host == address.host && $0.port != 0 }) {
        reject("listeners", "Listeners '\(other.name)' and '\(address.name)' have the same host and port.")
        continue
      }
      let told = advertised.first { $0.name == address.name }
      listeners.append(
        BrokerListener(
          name: address.name, host: address.host, port: address.port,
          advertisedHost: told?.host ?? (address.host.isEmpty ? hostName : address.host),
          advertisedPort: told?.port ?? address.port))
    }
    for told in advertised {
      if told.host.isEmpty {
        reject("advertised.listeners", "'\(told.name)' has no host that a client could connect to.")
      }
      if !listeners.contains(where: { $0.name == told.name }) {
        reject("advertised.listeners", "'\(told.name)' is not the name of a listener.")
      }
    }
    if listeners.isEmpty && problems.isEmpty {
      reject("listeners", "There is no listener for clients. Use for example listeners=PLAINTEXT://localhost:9092.")
    }
    return listeners
  }

  private typealias Address = (name: String, host: String, port: UInt16)

  private mutating func addresses(_ key: String) -> [Address] {
    var addresses: [Address] = []
    for text in list(key) {
      if let address = Self.address(text) {
        addresses.append(address)
      } else {
        reject(key, "'\(text)' is not a listener: NAME://host:port is needed, with a port from 0 to 65535.")
      }
    }
    return addresses
  }

  private static func address(_ text: String) -> Address? {
    guard let scheme = text.range(of: "://"), let colon = text.lastIndex(of: ":"), colon >= scheme.upperBound,
      let port = UInt16(text[text.index(after: colon)...])
    else { return nil }
    let name = text[..<scheme.lowerBound].uppercased()
    guard !name.isEmpty, name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }) else { return nil }
    var host = String(text[scheme.upperBound..<colon])
    if host.hasPrefix("[") {
      guard host.hasSuffix("]") else { return nil }
      host = String(host.dropFirst().dropLast())
    } else if host.contains(":") {
      return nil
    }
    if host == "0.0.0.0" || host == "::" { host = "" }
    guard host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }) else { return nil }
    return (name, host, port)
  }

  private mutating func securityProtocols() -> [String: String] {
    let key = "listener.security.protocol.map"
    var protocols: [String: String] = [:]
    for pair in (text(key) ?? "").split(separator: ",") {
      let parts = pair.split(separator: ":", omittingEmptySubsequences: false).map {
        String($0).trimmingConfigWhitespace().uppercased()
      }
      guard parts.count == 2, !parts[0].isEmpty,
        ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].contains(parts[1])
      else {
        reject(key, "'\(pair)' is not LISTENER:PROTOCOL with PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.")
        continue
      }
      protocols[parts[0]] = parts[1]
    }
    return protocols
  }
}

extension String {
  /// Where `other` begins and ends, without Foundation.
  fileprivate func range(of other: String) -> Range<String.Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
      start = index(after: start)
    }
    return nil
  }
}
