import { Context, Effect, Layer } from "effect"

export class Smtp extends Context.Service<Smtp, {
  readonly send: (to: string, subject: string) => Effect.Effect<string>
}>()("example/Smtp") {
  static readonly layer = Layer.succeed(Smtp, { send: (to, subject) => Effect.succeed(`${to}/${subject}`) })
}
