// TLS by NIOSSL. Without the trait TLS there is no context, and asking for one says so.

import NIOCore

#if TLS
  import NIOSSL
  import NIOTLS

  /// What all TLS connections of a client share: its files are read once.
  struct TLSContext: Sendable {
    private let context: NIOSSLContext
    private let settings: TLSSettings

    init(_ settings: TLSSettings) throws(KafkaError) {
      self.settings = settings
      var configuration = TLSConfiguration.makeClientConfiguration()
      configuration.minimumTLSVersion = .tlsv12
      switch settings.verification {
      case .full: configuration.certificateVerification = .fullVerification
      case .chainOnly: configuration.certificateVerification = .noHostnameVerification
      case .none: configuration.certificateVerification = .none
      }
      if !settings.trustRoots.isEmpty {
        var roots: [NIOSSLCertificate] = []
        for pem in settings.trustRoots { roots += try Self.certificates(pem, "trusted certificates") }
        configuration.trustRoots = .certificates(roots)
      }
      if let identity = settings.identity {
        let chain = try Self.certificates(identity.certificates, "the client's certificate")
        configuration.certificateChain = chain.map { .certificate($0) }
        configuration.privateKey = .privateKey(try Self.privateKey(identity))
      }
      do {
        context = try NIOSSLContext(configuration: configuration)
      } catch {
        let reason = TLSFailure.reasons(error).joined(separator: ", ")
        throw KafkaError(.configuration, "TLS cannot be set up: \(reason); does the key belong to the certificate?")
      }
    }

    private static func certificates(_ pem: TLSSettings.PEM, _ what: String) throws(KafkaError) -> [NIOSSLCertificate] {
      do {
        switch pem {
        case .file(let path): return try NIOSSLCertificate.fromPEMFile(path)
        case .text(let text): return try NIOSSLCertificate.fromPEMBytes(Array(text.utf8))
        }
      } catch {
        throw unreadable(pem, what, error)
      }
    }

    private static func privateKey(_ identity: TLSSettings.Identity) throws(KafkaError) -> NIOSSLPrivateKey {
      let password = Array((identity.password ?? "").utf8)
      do {
        switch identity.privateKey {
        case .file(let path): return try NIOSSLPrivateKey(file: path, format: .pem) { $0(password) }
        case .text(let text): return try NIOSSLPrivateKey(bytes: Array(text.utf8), format: .pem) { $0(password) }
        }
      } catch {
        throw unreadable(identity.privateKey, "the client's private key", error)
      }
    }

    private static func unreadable(_ pem: TLSSettings.PEM, _ what: String, _ error: any Error) -> KafkaError {
      let why =
        switch error {
        case let error as IOError: KafkaError.reason(error)
        case NIOSSLError.failedToLoadCertificate: "it cannot be read, or there is no PEM certificate in it"
        default: "there is no PEM key in it, or the password is not right"
        }
      return KafkaError(.configuration, "\(what) (\(pem)) cannot be used: \(why)")
    }

    /// Encrypts a channel that has just been connected; fails when the handshake does.
    func secure(
      _ channel: any Channel, to address: BrokerAddress, within limit: Duration
    ) -> EventLoopFuture<Void> {
      let handshake = TLSHandshake(on: channel.eventLoop, with: address, within: limit)
      do {
        let name = settings.serverName ?? address.host
        // An address is no server name: the certificate has to have it as an address.
        let encryption = try NIOSSLClientHandler(context: context, serverHostname: Self.isAddress(name) ? nil : name)
        try channel.pipeline.syncOperations.addHandlers([encryption, handshake], position: .first)
      } catch {
        return channel.eventLoop.makeFailedFuture(error)
      }
      return handshake.completed
    }

    private static func isAddress(_ host: String) -> Bool {
      (try? SocketAddress(ipAddress: host, port: 0)) != nil
    }
  }

  /// Tells when the handshake is over; goes away then.
  private final class TLSHandshake: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<Void>
    private let timer: Scheduled<Void>

    init(on eventLoop: any EventLoop, with address: BrokerAddress, within limit: Duration) {
      let promise = eventLoop.makePromise(of: Void.self)
      self.promise = promise
      timer = eventLoop.scheduleTask(in: TimeAmount(limit)) {
        promise.fail(
          KafkaError(
            .connectionFailed, "TLS with \(address) failed: no answer in time; does this port speak TLS?"))
      }
    }

    var completed: EventLoopFuture<Void> { promise.futureResult }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
      context.fireUserInboundEventTriggered(event)
      guard case TLSUserEvent.handshakeCompleted = event else { return }
      promise.succeed()
      context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
      promise.fail(error)
      context.fireErrorCaught(error)
    }

    func channelInactive(context: ChannelHandlerContext) {
      promise.fail(ChannelError.eof)
      context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
      timer.cancel()
      promise.fail(ChannelError.eof)
    }
  }
#else
  /// Cannot be made.
  enum TLSContext: Sendable {
    init(_ settings: TLSSettings) throws(KafkaError) {
      throw .needsTrait("TLS")
    }

    func secure(
      _ channel: any Channel, to address: BrokerAddress, within limit: Duration
    ) -> EventLoopFuture<Void> {
      switch self {}
    }
  }
#endif
