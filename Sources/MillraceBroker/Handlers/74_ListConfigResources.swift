// ListConfigResources, key 74 (KIP-1142; before that ListClientMetricsResources, KIP-714). v0 client metrics only,
// flexible v1 the kinds asked for; none means all.

import MillraceCoordination
import MillraceProtocol

struct ListConfigResourcesHandler: Handler {
  func handle(
    _ request: ListConfigResourcesRequest, _ context: RequestContext, _ reply: Reply<ListConfigResourcesResponse>
  ) {
    var kinds = Set(ConfigResource.Kind.allCases)
    if context.version == 0 { kinds = [.clientMetrics] }
    if !request.resourceTypes.isEmpty {
      let asked = request.resourceTypes.map { ConfigResource.Kind(rawValue: $0) }
      guard !asked.contains(nil) else {
        return reply.send(ListConfigResourcesResponse(errorCode: ErrorCode.unsupportedVersion.rawValue))
      }
      kinds = Set(asked.compactMap { $0 })
    }
    context.broker.catalog.answer { catalog in
      var resources: [ListConfigResourcesResponse.ConfigResource] = []
      func add(_ kind: ConfigResource.Kind, _ names: [String]) {
        guard kinds.contains(kind) else { return }
        resources += names.map { .init(resourceName: $0, resourceType: kind.rawValue) }
      }
      add(.topic, catalog.topics.values.map(\.name).sorted())
      add(.broker, [String(catalog.settings.nodeId)])
      add(.group, catalog.configuredGroups)
      return resources
    } done: { result in
      switch result {
      case .success(let resources): reply.send(ListConfigResourcesResponse(configResources: resources))
      case .failure(let error): reply.send(ListConfigResourcesResponse(errorCode: error.code.rawValue))
      }
    }
  }
}
