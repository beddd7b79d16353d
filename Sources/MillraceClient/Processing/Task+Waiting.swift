// Ways to wait for a task that workers share.

extension Task where Success == Void, Failure == Never {
  /// Waits for its end; whoever cancels the waiting cancels it.
  func cancellableValue() async {
    await withTaskCancellationHandler {
      await value
    } onCancel: {
      cancel()
    }
  }

  /// Waits for the end of what began; what has not ended after `grace` is cancelled, and waited for.
  static func finish(_ begun: [Task?], within grace: Duration) async {
    let impatience = Task {
      guard (try? await Task<Never, Never>.sleep(for: grace)) != nil else { return }
      for task in begun { task?.cancel() }
    }
    for task in begun { await task?.value }
    impatience.cancel()
  }
}
