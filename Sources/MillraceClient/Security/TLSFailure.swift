// Failures of TLS as sentences, and whether trying again may help: a certificate that was refused will be again.

#if TLS
  import NIOCore
  import NIOSSL

  enum TLSFailure {
    /// The error for what NIOSSL says; nil when `error` is none of its errors.
    static func error(_ error: any Error, at address: BrokerAddress) -> KafkaError? {
      let reasons = reasons(error)
      guard !reasons.isEmpty else { return nil }
      for reason in reasons {
        if let advice = advice(for: reason) {
          return KafkaError(.authenticationFailed, "TLS with \(address) failed: \(advice) (\(reason))")
        }
      }
      return KafkaError(.connectionFailed, "TLS with \(address) failed: \(reasons.joined(separator: ", "))")
    }

    /// The names of what went wrong: BoringSSL's, or words of NIOSSL.
    static func reasons(_ error: any Error) -> [String] {
      switch error {
      case let error as NIOSSLExtraError:
        return error == .failedToValidateHostname ? [wrongName] : ["\(error)"]
      case NIOSSLError.handshakeFailed(let cause), NIOSSLError.shutdownFailed(let cause): return reasons(cause)
      case NIOSSLError.unableToValidateCertificate, NIOSSLError.noCertificateToValidate: return [unverified]
      case NIOSSLError.uncleanShutdown: return ["the broker closed the connection"]
      case let error as NIOSSLError: return ["\(error)"]
      case BoringSSLError.sslError(let stack), BoringSSLError.unknownError(let stack):
        return stack.isEmpty ? ["unknown error"] : stack.map(reason)
      case let error as BoringSSLError: return ["\(error)"]
      default: return []
      }
    }

    /// `Error: 268435581 error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at FILE:LINE`
    private static func reason(_ error: BoringSSLInternalError) -> String {
      if error == .eofDuringHandshake || error == .eofDuringAdditionalCertficiateChainValidation {
        return "the broker closed the connection during the handshake; does this port speak TLS?"
      }
      let text = "\(error)"
      guard let start = text.firstRange(of: "OPENSSL_internal:") else { return text }
      return String(text[start.upperBound...].prefix { !$0.isWhitespace })
    }

    private static let wrongName = "wrong host name"
    private static let unverified = "CERTIFICATE_VERIFY_FAILED"

    private static func advice(for reason: String) -> String? {
      switch reason {
      case wrongName:
        "the broker's certificate is for another host name; connect by a name that is in the certificate, "
          + "or say which name to expect"
      case unverified:
        "the broker's certificate is not trusted; it has expired, or its authority is not among the trusted ones "
          + "(ssl.truststore.location)"
      case "TLSV1_ALERT_CERTIFICATE_REQUIRED", "TLSV13_ALERT_CERTIFICATE_REQUIRED", "SSLV3_ALERT_NO_CERTIFICATE":
        "the broker asks for a client certificate (ssl.keystore.location)"
      case "SSLV3_ALERT_HANDSHAKE_FAILURE":
        "the broker refused the handshake; it may ask for a client certificate (ssl.keystore.location)"
      case "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "SSLV3_ALERT_CERTIFICATE_EXPIRED", "SSLV3_ALERT_CERTIFICATE_REVOKED", "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "TLSV1_ALERT_ACCESS_DENIED", "TLSV1_ALERT_DECRYPT_ERROR":
        "the broker does not accept the client's certificate"
      case "WRONG_VERSION_NUMBER": "the answer is not TLS; is this the broker's port for it?"
      case "TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL": "the broker speaks neither TLS 1.2 nor 1.3"
      default: nil
      }
    }
  }
#else
  enum TLSFailure {
    static func error(_ error: any Error, at address: BrokerAddress) -> KafkaError? { nil }
  }
#endif
