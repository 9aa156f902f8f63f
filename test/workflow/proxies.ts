/** What must hold of workflows that are served by `WorkflowProxy`, over RPC and over HTTP. */
import { NodeServices } from "@effect/platform-node"
import { assert, describe } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Schema } from "effect"
import { Etag, HttpPlatform } from "effect/http"
import { HttpApi, HttpApiTest } from "effect/http-api"
import { RpcTest } from "effect/rpc"
import { Activity, Workflow, WorkflowProxy, WorkflowProxyServer } from "effect/workflow"
import { both, type Subject, until } from "./subjects.ts"

class Declined extends Schema.TaggedError<Declined>()("Declined", { card: Schema.String }) {}

const Pay = Workflow.make("Pay", {
  payload: { card: Schema.String },
  idempotencyKey: ({ card }) => card,
  success: Schema.Date,
  error: Declined
}).annotate(Workflow.SuspendOnFailure, true)

const Refund = Workflow.make("Refund", {
  payload: { card: Schema.String },
  idempotencyKey: ({ card }) => card,
  error: Declined
})

class Api extends HttpApi.make("shop").add(WorkflowProxy.toHttpApiGroup("workflows", [Pay, Refund])) {}
class Rpcs extends WorkflowProxy.toRpcGroup([Pay, Refund], { prefix: "shop." }) {}

const errorOf = (exit: Exit.Exit<unknown, unknown>) => Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit

/** One that pays as soon as `isOpen` says so, and one that fails. */
const shop = () => {
  const door = { isOpen: true, calls: 0 }
  const workflows = Layer.mergeAll(
    Pay.toLayer(({ card }) =>
      Activity.make({
        name: "charge",
        success: Schema.Date,
        error: Declined,
        execute: Effect.suspend(() => {
          door.calls++
          return door.isOpen ? Effect.succeed(new Date(86_400_000)) : Effect.fail(new Declined({ card }))
        })
      })
    ),
    Refund.toLayer(({ card }) => Effect.fail(new Declined({ card })))
  )
  return { door, workflows }
}

const isSuspended = (id: string) =>
  until(Effect.map(Pay.poll(id), (poll) => Option.isSome(poll) && poll.value._tag === "Suspended"))

export const proxies = (subject: Subject) => {
  describe("WorkflowProxy", () => {
    both(subject, "over RPC executions run, fail, are discarded, and go on", () => {
      const { door, workflows } = shop()
      const body = Effect.gen(function*() {
        const client = yield* RpcTest.makeClient(Rpcs)
        assert.deepStrictEqual(yield* client["shop.Pay"]({ card: "1" }), new Date(86_400_000))
        const failed = errorOf(yield* Effect.exit(client["shop.Refund"]({ card: "1" })))
        assert.instanceOf(failed, Declined)
        door.isOpen = false
        const id = yield* client["shop.PayDiscard"]({ card: "2" })
        assert.strictEqual(id, yield* Pay.executionId({ card: "2" }))
        yield* isSuspended(id)
        door.isOpen = true
        yield* client["shop.PayResume"]({ executionId: id })
        assert.deepStrictEqual(yield* client["shop.Pay"]({ card: "2" }), new Date(86_400_000))
        assert.strictEqual(door.calls, 3)
      }).pipe(
        Effect.provide(WorkflowProxyServer.layerRpcHandlers([Pay, Refund], { prefix: "shop." })),
        Effect.scoped
      )
      return { workflows, body }
    })

    both(subject, "over HTTP executions run, fail, are discarded, and go on", () => {
      const { door, workflows } = shop()
      const body = Effect.gen(function*() {
        const { workflows: client } = yield* HttpApiTest.groups(Api, ["workflows"])
        assert.deepStrictEqual(yield* client.Pay({ payload: { card: "1" } }), new Date(86_400_000))
        const failed = errorOf(yield* Effect.exit(client.Refund({ payload: { card: "1" } })))
        assert.instanceOf(failed, Declined)
        door.isOpen = false
        const id = yield* client.PayDiscard({ payload: { card: "2" } })
        assert.strictEqual(id, yield* Pay.executionId({ card: "2" }))
        yield* isSuspended(id)
        door.isOpen = true
        yield* client.PayResume({ payload: { executionId: id } })
        assert.deepStrictEqual(yield* client.Pay({ payload: { card: "2" } }), new Date(86_400_000))
        assert.strictEqual(door.calls, 3)
      }).pipe(
        Effect.provide(WorkflowProxyServer.layerHttpApi(Api, "workflows", [Pay, Refund])),
        Effect.provide([
          NodeServices.layer,
          Etag.layerWeak,
          HttpPlatform.layer.pipe(Layer.provide(NodeServices.layer))
        ]),
        Effect.scoped
      )
      return { workflows, body }
    })
  })
}
