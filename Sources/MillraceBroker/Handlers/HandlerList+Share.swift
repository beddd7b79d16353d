// The APIs about share groups and their state.

extension Dispatcher {
  static var shareRoutes: [Route] {
    [
      Route(InitializeShareGroupStateHandler.self), Route(ReadShareGroupStateHandler.self),
      Route(WriteShareGroupStateHandler.self), Route(DeleteShareGroupStateHandler.self),
      Route(ReadShareGroupStateSummaryHandler.self),
    ]
  }
}
