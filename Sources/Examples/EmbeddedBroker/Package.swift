// swift-tools-version: 6.2
// The README's example as a package of its own.
import PackageDescription

let package = Package(
  name: "embedded-broker",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "millrace", path: "../../..")],
  targets: [
    .executableTarget(
      name: "EmbeddedBroker",
      dependencies: [
        .product(name: "Millrace", package: "millrace"), .product(name: "MillraceClient", package: "millrace"),
      ],
      swiftSettings: [.treatAllWarnings(as: .error)])
  ]
)
