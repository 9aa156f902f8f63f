import { Context, Effect, Layer } from "effect"

export class Relay extends Context.Service<Relay, {
  readonly sendAll: (
    messages: ReadonlyArray<{ readonly to: string; readonly subject: string }>
  ) => Effect.Effect<ReadonlyArray<{ readonly messageId: string; readonly isFull: boolean }>>
}>()("example/Relay") {
  static readonly layer = Layer.succeed(Relay, {
    sendAll: (messages) =>
      Effect.succeed(messages.map(({ subject, to }) => ({ messageId: `${to}/${subject}`, isFull: false })))
  })
}
