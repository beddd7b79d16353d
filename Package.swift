// swift-tools-version: 6.2
// The module graph, bottom up. Arrows only point down; `--explicit-target-dependency-import-check error`
// and ArchitectureTests hold the sources to it.
import PackageDescription

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let serviceLifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let tracing: Target.Dependency = .product(name: "Tracing", package: "swift-distributed-tracing")
// Only with the trait TLS: both bring BoringSSL along, which takes minutes to compile.
let tls: [Target.Dependency] = [
  .product(name: "NIOSSL", package: "swift-nio-ssl", condition: .when(traits: ["TLS"])),
  .product(name: "NIOTLS", package: "swift-nio", condition: .when(traits: ["TLS"])),
  .product(name: "Crypto", package: "swift-crypto", condition: .when(traits: ["TLS"])),
]

let package = Package(
  name: "millrace",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Millrace", targets: ["Millrace"]),
    .library(name: "MillraceClient", targets: ["MillraceClient"]),
    .library(name: "MillraceJSON", targets: ["MillraceJSON"]),
    .library(name: "MillraceTesting", targets: ["MillraceTesting"]),
    .executable(name: "millrace", targets: ["MillraceCLI"]),
  ],
  traits: [
    .trait(name: "TLS", description: "Clients that speak TLS, and SASL with SCRAM.")
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
    .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.3"),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
  ],
  targets: [
    // 0: messages as version-free values, their codecs, headers, framing.
    .target(name: "MillraceProtocol", dependencies: [nioCore], exclude: ["Schemas"], swiftSettings: strict),

    // 1: the record batch. The C target holds CRC-32C and links zstd, zlib, lz4 and snappy.
    .target(
      name: "CMillraceCodecs",
      linkerSettings: [
        .linkedLibrary("zstd"), .linkedLibrary("z"), .linkedLibrary("lz4"), .linkedLibrary("snappy"),
        .linkedLibrary("stdc++", .when(platforms: [.linux])),
      ]),
    .target(name: "MillraceRecords", dependencies: ["CMillraceCodecs"], swiftSettings: strict),

    // 2: files, and the pure state machines. The C target holds the system calls that Swift does not show.
    .target(name: "CMillraceSystem"),
    .target(
      name: "MillraceLog",
      dependencies: [
        "MillraceRecords", "CMillraceSystem", .product(name: "Collections", package: "swift-collections"),
      ],
      swiftSettings: strict),
    .target(
      name: "MillraceCoordination",
      dependencies: ["MillraceProtocol", nioCore, .product(name: "Collections", package: "swift-collections")],
      swiftSettings: strict),

    // 3: one handler per API; knows no transport.
    .target(
      name: "MillraceBroker",
      dependencies: [
        "MillraceCoordination", "MillraceLog", "MillraceRecords", "MillraceProtocol", nioCore, logging,
        .product(name: "Collections", package: "swift-collections"),
      ],
      swiftSettings: strict),

    // 4: sockets, the client, the broker in a process.
    .target(
      name: "MillraceServer",
      dependencies: ["MillraceBroker", "MillraceLog", "MillraceProtocol", nioCore, nioPosix, logging],
      swiftSettings: strict),
    .target(
      name: "MillraceClient",
      dependencies: [
        "MillraceProtocol", "MillraceRecords", nioCore, nioPosix, logging, serviceLifecycle, metrics, tracing,
      ] + tls,
      swiftSettings: strict),
    // Apart from the client, since Foundation makes a static program three times as large.
    .target(name: "MillraceJSON", dependencies: ["MillraceClient", nioCore], swiftSettings: strict),
    .target(
      name: "Millrace",
      dependencies: [
        "MillraceServer", "MillraceBroker", "MillraceClient", "MillraceProtocol", "MillraceLog", nioCore, nioPosix,
        logging, serviceLifecycle,
      ],
      swiftSettings: strict),

    // Shipped for the tests of others: an ephemeral broker, faults, a manual clock.
    .target(
      name: "MillraceTesting",
      dependencies: [
        "Millrace", "MillraceServer", "MillraceBroker", "MillraceClient", "MillraceLog", "MillraceProtocol", nioCore,
        nioPosix, logging,
      ],
      swiftSettings: strict),

    // 5: the program.
    .executableTarget(
      name: "MillraceCLI",
      dependencies: [
        "Millrace", "MillraceClient", "MillraceServer", "MillraceBroker", "MillraceCoordination", "MillraceLog",
        "MillraceRecords", "MillraceProtocol", logging, nioCore, nioPosix,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "Subprocess", package: "swift-subprocess"),
      ],
      swiftSettings: strict),

    // The example: an order pipeline as somebody's services would be written (tools/demo).
    .executableTarget(
      name: "OrderPipeline",
      dependencies: [
        "Millrace", "MillraceClient", "MillraceTesting", nioCore, logging,
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    // Writes Sources/MillraceProtocol/Generated from Sources/MillraceProtocol/Schemas.
    .target(name: "MessageSchema", swiftSettings: strict),
    .executableTarget(name: "SchemaGenerator", dependencies: ["MessageSchema"], swiftSettings: strict),

    // Bytes from outside against every decoder (tools/fuzz).
    .executableTarget(
      name: "Fuzz", dependencies: ["MillraceProtocol", "MillraceRecords", nioCore], swiftSettings: strict),

    .testTarget(
      name: "MillraceProtocolTests", dependencies: ["MillraceProtocol", "MessageSchema", nioCore],
      exclude: ["Fixtures"], swiftSettings: strict),
    .testTarget(
      name: "MillraceRecordsTests", dependencies: ["MillraceRecords"], exclude: ["Fixtures"], swiftSettings: strict),
    .testTarget(name: "MillraceLogTests", dependencies: ["MillraceLog", "MillraceRecords"], swiftSettings: strict),
    .testTarget(
      name: "MillraceCoordinationTests", dependencies: ["MillraceCoordination", "MillraceProtocol", nioCore],
      swiftSettings: strict),
    .testTarget(
      name: "MillraceBrokerTests",
      dependencies: [
        "MillraceBroker", "MillraceCoordination", "MillraceLog", "MillraceRecords", "MillraceProtocol", nioCore,
        logging,
      ],
      swiftSettings: strict),
    .testTarget(
      name: "MillraceServerTests",
      dependencies: [
        "MillraceServer", "MillraceBroker", "MillraceLog", "MillraceRecords", "MillraceProtocol", nioCore, nioPosix,
        logging,
      ],
      swiftSettings: strict),
    .testTarget(
      name: "MillraceClientTests",
      dependencies: [
        "MillraceClient", "MillraceJSON", "Millrace", "MillraceBroker", "MillraceCoordination", "MillraceLog",
        "MillraceProtocol", "MillraceRecords", nioCore, nioPosix, logging, serviceLifecycle, metrics, tracing,
        .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
        .product(name: "MetricsTestKit", package: "swift-metrics"),
        .product(name: "InMemoryTracing", package: "swift-distributed-tracing"),
      ] + tls,
      swiftSettings: strict),
    // Against software that is not ours: librdkafka's mock cluster, its partitioner, its consumer and its producer.
    .systemLibrary(name: "CLibrdkafka", path: "Tests/CLibrdkafka"),
    .testTarget(
      name: "MillraceInteropTests",
      dependencies: ["Millrace", "MillraceClient", "MillraceProtocol", "CLibrdkafka", nioCore, nioPosix, logging],
      swiftSettings: strict),
    .testTarget(
      name: "MillraceTests",
      dependencies: [
        "Millrace", "MillraceClient", "MillraceLog", nioCore, nioPosix, logging, serviceLifecycle,
        .product(name: "ServiceLifecycleTestKit", package: "swift-service-lifecycle"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "MillraceTestingTests",
      dependencies: ["MillraceTesting", "MillraceClient", "MillraceProtocol", nioCore], swiftSettings: strict),
    .testTarget(
      name: "MillraceCLITests",
      dependencies: ["MillraceCLI", "MillraceBroker", "MillraceCoordination", "MillraceClient"],
      swiftSettings: strict),
    .testTarget(
      name: "OrderPipelineTests", dependencies: ["OrderPipeline", "MillraceClient", "MillraceTesting", nioCore],
      swiftSettings: strict),
    // The code that the articles and the README show, run as it stands there.
    .testTarget(
      name: "DocumentationTests",
      dependencies: [
        "Millrace", "MillraceClient", "MillraceJSON", "MillraceTesting", nioCore, logging, serviceLifecycle,
      ],
      swiftSettings: strict),
    .testTarget(name: "ArchitectureTests", swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
