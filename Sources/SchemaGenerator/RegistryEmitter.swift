// Writes what lists all messages: the API keys, the table of APIs, the catalogue for tests, and the error codes.

import MessageSchema

enum RegistryEmitter {
  static func emitApis(_ requests: [MessageSchema], into source: inout SourceText) {
    source.block("extension ApiKey {") { body in
      for request in requests {
        body.line("public static let \(apiName(request).lowerCamelCase) = ApiKey(rawValue: \(request.apiKey ?? -1))")
      }
    }
    source.line()
    source.block("extension Api {") { body in
      body.line("/// Every API that a broker may serve, by key.")
      body.block("public static let all: [Api] = [", "]") { list in
        for request in requests {
          let flexible = request.flexibleVersions.map { String($0.lowerBound) } ?? "nil"
          list.line(
            "Api(key: .\(apiName(request).lowerCamelCase), name: \"\(apiName(request))\", "
              + "validVersions: \(request.versions.literal), firstFlexibleVersion: \(flexible), "
              + "latestVersionIsUnstable: \(request.latestVersionIsUnstable)),")
        }
      }
    }
  }

  private static func apiName(_ request: MessageSchema) -> String { String(request.name.dropLast("Request".count)) }

  static func emitCatalog(requests: [MessageSchema], others: [MessageSchema], into source: inout SourceText) {
    source.line("/// Every message of the module, for what treats them all alike: tests and fuzzing.")
    source.block("package enum MessageCatalog {") { body in
      body.block("package static let requests: [any Request.Type] = [", "]") { list in
        for request in requests { list.line("\(request.name).self,") }
      }
      body.line()
      body.line("/// Record keys and values, and the blobs with a version of their own.")
      body.block("package static let others: [any VersionedMessage.Type] = [", "]") { list in
        for message in others { list.line("\(message.name).self,") }
      }
    }
  }

  static func emitErrorCodes(_ codes: [ErrorCodeSchema], into source: inout SourceText) {
    source.block("extension ErrorCode {") { body in
      for code in codes { body.line("public static let \(code.swiftName) = ErrorCode(rawValue: \(code.code))") }
      body.line()
      body.line("/// Name by code, from -1 on.")
      body.block("static let names: [StaticString] = [", "]") { list in
        for code in codes { list.line("\"\(code.name)\",") }
      }
      body.line()
      body.line("/// Codes after which a client may send the same request again.")
      body.block("static let retriable: [ErrorCode] = [", "]") { list in
        for code in codes where code.isRetriable { list.line(".\(code.swiftName),") }
      }
    }
  }
}
