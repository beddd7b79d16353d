// swift-tools-version: 6.2
// A Hummingbird service that has its broker inside.
import PackageDescription

let package = Package(
  name: "order-service",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "millrace", path: "../../.."),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
  ],
  targets: [
    .executableTarget(
      name: "OrderService",
      dependencies: [
        .product(name: "Millrace", package: "millrace"), .product(name: "MillraceClient", package: "millrace"),
        .product(name: "MillraceJSON", package: "millrace"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error)]),
    .testTarget(
      name: "OrderServiceTests",
      dependencies: [
        "OrderService", .product(name: "MillraceClient", package: "millrace"),
        .product(name: "MillraceTesting", package: "millrace"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error)]),
  ]
)
