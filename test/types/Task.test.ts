/** What the types promise. `tsc` checks this file; the test runner only sees that it loads. */
// @effect-diagnostics floatingEffect:off missingEffectError:off missingLayerContext:off
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { Context, type DateTime, Effect, Exit, type Layer, type Option, Schema, SchemaGetter } from "effect"
import type { DependencyCycle, DependencyFailed, UnknownDependency } from "../../src/domain/DependencyErrors.ts"
import type {
  InvalidOption,
  InvalidPayload,
  KeyConflict,
  LeaseLost,
  QueueFull,
  ResultInTransaction,
  StoreError,
  TaskCancelled,
  TaskDefect,
  TaskExpired,
  TaskNotFound,
  TaskQuarantined,
  TaskTimedOut,
  UnknownTaskType
} from "../../src/domain/Errors.ts"
import * as Engine from "../../src/engine/Engine.ts"
import type { TaskHandle } from "../../src/queue/TaskHandle.ts"
import type { TaskQueue } from "../../src/queue/TaskQueue.ts"
import * as Task from "../../src/Task.ts"
import type { HandlerRegistry } from "../../src/worker/HandlerRegistry.ts"
import { TaskContext } from "../../src/worker/TaskContext.ts"

class Mailer extends Context.Service<Mailer, { readonly send: (to: string) => Effect.Effect<string> }>()("Mailer") {}

class Bounced extends Schema.TaggedError<Bounced>()("Bounced", { address: Schema.String }) {}
class Other extends Schema.TaggedError<Other>()("Other", {}) {}

const Email = Task.make("email", {
  payload: { to: Schema.String, at: Schema.Date },
  success: Schema.Struct({ messageId: Schema.String }),
  error: Bounced
})
const Plain = Task.make("plain")

const address = { to: "ada@example.org", at: new Date(0) }
const sent = { messageId: "1" }

/** A schema whose decoding needs a service. */
const NeedsMailer = Schema.String.pipe(
  Schema.decodeTo(Schema.String, {
    decode: SchemaGetter.transformEffect((to: string) => Effect.flatMap(Mailer, (mailer) => mailer.send(to))),
    encode: SchemaGetter.passthrough()
  })
)

describe("the payload", () => {
  it("is what the schema decodes to", () => {
    expectTypeOf(Email.enqueue).parameter(0).toEqualTypeOf<{ readonly to: string; readonly at: Date }>()
    Email.enqueue(address)
    // @ts-expect-error a field has the wrong type
    Email.enqueue({ to: 1, at: new Date(0) })
    // @ts-expect-error a field is missing
    Email.enqueue({ to: "ada" })
    // @ts-expect-error no field has this name
    Email.enqueue({ ...address, cc: "grace" })
    // @ts-expect-error there is no payload at all
    Email.enqueue()
    // @ts-expect-error one of many is wrong
    Email.enqueueAll([address, { to: "ada" }])
  })

  it("may be nothing", () => {
    Plain.enqueue()
    Plain.enqueue(undefined, { delay: "1 second" })
    // @ts-expect-error the type takes no payload
    Plain.enqueue({ to: "ada" })
  })

  it("is that of each draft, and the handles of a write have the types of its drafts", () => {
    const drafts = [Email.draft(address), Plain.draft(undefined, { after: [Email.draft(address)] })] as const
    const handles = Task.enqueueAll(drafts)
    expectTypeOf<Effect.Success<typeof handles>[0]["result"]>().toEqualTypeOf<
      TaskHandle<{ readonly messageId: string }, Bounced>["result"]
    >()
    expectTypeOf<Effect.Success<typeof handles>[1]["result"]>().toEqualTypeOf<TaskHandle<void, never>["result"]>()
    expectTypeOf<Effect.Success<typeof handles>["length"]>().toEqualTypeOf<2>()
    // @ts-expect-error a field is missing
    Email.draft({ to: "ada" })
    // @ts-expect-error what is enqueued alone names no draft
    Plain.enqueue(undefined, { after: [Plain.draft()] })
  })

  it("may be any schema, not only a struct", () => {
    const Count = Task.make("count", { payload: Schema.Int })
    Count.enqueue(1)
    // @ts-expect-error a number is asked for
    Count.enqueue("1")
  })

  it("cannot be given an id or a key for many tasks at once", () => {
    // @ts-expect-error an id belongs to one task
    Email.enqueueAll([address], { id: "one" })
    // @ts-expect-error a key belongs to one task
    Email.enqueueAll([address], { key: "one" })
    Email.enqueueAll([address], {
      each: (payload, index) => {
        expectTypeOf(payload).toEqualTypeOf<{ readonly to: string; readonly at: Date }>()
        return { key: payload.to, delay: index }
      }
    })
    // @ts-expect-error no option has this name
    Email.enqueueAll([address], { each: ({ to }) => ({ kye: to }) })
  })
})

describe("an idempotency key", () => {
  it("is made of the decoded payload", () => {
    Task.make("keyed", {
      payload: { to: Schema.String, at: Schema.Date },
      idempotencyKey: (payload) => {
        expectTypeOf(payload).toEqualTypeOf<{ readonly to: string; readonly at: Date }>()
        return payload.to
      }
    })
    Task.make("keyed", { payload: Schema.Int, idempotencyKey: (n) => `${n.toFixed()}` })
    // @ts-expect-error a key is a text
    Task.make("keyed", { payload: Schema.Int, idempotencyKey: (n) => n })
    // @ts-expect-error the payload has no such field
    Task.make("keyed", { payload: { to: Schema.String }, idempotencyKey: ({ from }) => from })
  })
})

describe("a handler", () => {
  it("gives the declared success", () => {
    Email.toLayer(() => Effect.succeed(sent))
    // @ts-expect-error a field is missing
    Email.toLayer(() => Effect.succeed({}))
    // @ts-expect-error the success is a struct
    Email.toLayer(() => Effect.succeed("1"))
    // @ts-expect-error an effect is asked for
    Email.toLayer(() => sent)
  })

  it("fails with the declared error only", () => {
    Email.toLayer(({ to }) => Effect.fail(new Bounced({ address: to })))
    // @ts-expect-error the definition does not declare this error
    Email.toLayer(() => Effect.fail(new Other()))
    // @ts-expect-error the definition declares no error
    Plain.toLayer(() => Effect.fail(new Bounced({ address: "" })))
  })

  it("takes the decoded payload", () => {
    Email.toLayer((payload) => {
      expectTypeOf(payload).toEqualTypeOf<{ readonly to: string; readonly at: Date }>()
      return Effect.succeed(sent)
    })
    // @ts-expect-error the payload has no such field
    Email.toLayer(({ cc }) => Effect.succeed({ messageId: cc }))
  })

  it("shows the services it needs in its layer, and only those", () => {
    const live = Email.toLayer(({ to }) =>
      Effect.gen(function*() {
        const mailer = yield* Mailer
        const { id } = yield* TaskContext
        return { messageId: `${id} ${yield* mailer.send(to)}` }
      })
    )
    expectTypeOf(live).toEqualTypeOf<Layer.Layer<never, never, HandlerRegistry | Mailer>>()
    // @ts-expect-error Mailer is missing
    const closed: Layer.Layer<never, never, HandlerRegistry> = live
    assert.isDefined(closed)
  })

  it("may be made by an effect, whose services and errors the layer shows", () => {
    const live = Email.toLayer(Effect.gen(function*() {
      const mailer = yield* Mailer
      yield* Effect.addFinalizer(() => Effect.void)
      if (Math.random() < 0) return yield* new Other()
      return ({ at, to }) =>
        Effect.map(mailer.send(to), (messageId) => {
          expectTypeOf(at).toEqualTypeOf<Date>()
          return { messageId }
        })
    }))
    expectTypeOf(live).toEqualTypeOf<Layer.Layer<never, Other, HandlerRegistry | Mailer>>()
    // @ts-expect-error the handler that is made gives something else
    Email.toLayer(Effect.succeed(() => Effect.succeed("1")))
    // @ts-expect-error an effect of no handler
    Email.toLayer(Effect.succeed(1))
  })

  it("is given a context that knows what its task gives", () => {
    Email.toLayer((_, { complete, id }) => {
      expectTypeOf(id).toEqualTypeOf<string>()
      // @ts-expect-error a field is missing
      complete({})
      return Effect.orDie(complete(sent))
    })
    Plain.toLayer((_, context) => Effect.orDie(context.complete()))
  })

  it("may be a generator function", () => {
    Email.toLayer(
      Effect.fn("email")(function*({ to }, { progress }) {
        expectTypeOf(to).toEqualTypeOf<string>()
        yield* progress(0.5)
        return sent
      })
    )
  })

  it("has its TaskContext provided", () => {
    const live = Plain.toLayer(() => TaskContext.use((context) => context.progress(0.5)))
    expectTypeOf(live).toEqualTypeOf<Layer.Layer<never, never, HandlerRegistry>>()
  })

  it("passes its missing services on to the engine's layer", () => {
    const live = Plain.toLayer(() => Effect.asVoid(Mailer))
    const engine = Engine.layer(live)
    expectTypeOf<Mailer>().toExtend<Layer.Services<typeof engine>>()
    expectTypeOf<HandlerRegistry>().not.toExtend<Layer.Services<typeof engine>>()
  })
})

describe("a batch handler", () => {
  const options = { max: 10, within: "1 second" } as const

  it("takes items of the decoded payloads, and gives an exit of the declared success or error for each", () => {
    Email.toBatchLayer((items) => {
      expectTypeOf(items[0].payload).toEqualTypeOf<{ readonly to: string; readonly at: Date }>()
      return Effect.succeed(
        items.map(({ payload }) =>
          payload.to === "" ? Exit.fail(new Bounced({ address: payload.to })) : Exit.succeed(sent)
        )
      )
    }, options)
    Plain.toBatchLayer((items) => Effect.succeed(items.map(() => Exit.void)), options)
    // @ts-expect-error a field is missing
    Email.toBatchLayer((items) => Effect.succeed(items.map(() => Exit.succeed({}))), options)
    // @ts-expect-error the definition does not declare this error
    Email.toBatchLayer((items) => Effect.succeed(items.map(() => Exit.fail(new Other()))), options)
    // @ts-expect-error an exit is asked for
    Email.toBatchLayer((items) => Effect.succeed(items.map(() => sent)), options)
    // @ts-expect-error an array is asked for
    Email.toBatchLayer(() => Effect.succeed(Exit.succeed(sent)), options)
  })

  it("fails with the declared error only", () => {
    Email.toBatchLayer(() => Effect.fail(new Bounced({ address: "" })), options)
    // @ts-expect-error the definition does not declare this error
    Email.toBatchLayer(() => Effect.fail(new Other()), options)
  })

  it("says how many tasks it takes", () => {
    // @ts-expect-error no options
    assert.throws(() => Plain.toBatchLayer(() => Effect.succeed([])))
    // @ts-expect-error no maximum
    assert.throws(() => Plain.toBatchLayer(() => Effect.succeed([]), { within: "1 second" }), "max")
    // @ts-expect-error no option has this name
    assert.throws(() => Plain.toBatchLayer(() => Effect.succeed([]), { max: 10, wthin: "1 second" }), "wthin")
  })

  it("shows the services it needs in its layer; a TaskContext belongs to one task, and is there in its run", () => {
    const live = Email.toBatchLayer(
      (items) =>
        Effect.gen(function*() {
          const mailer = yield* Mailer
          return yield* Effect.forEach(items, (item) =>
            item.run(
              Effect.gen(function*() {
                const { id } = yield* TaskContext
                return yield* Email.complete({ messageId: `${id} ${yield* mailer.send(item.payload.to)}` })
              }).pipe(Effect.catchTag(["LeaseLost", "StoreError"], Effect.die))
            ))
        }),
      options
    )
    expectTypeOf(live).toEqualTypeOf<Layer.Layer<never, never, HandlerRegistry | Mailer>>()
    const needy = Plain.toBatchLayer((items) => Effect.as(TaskContext, items.map(() => Exit.void)), options)
    expectTypeOf(needy).toEqualTypeOf<Layer.Layer<never, never, HandlerRegistry | TaskContext>>()
  })

  it("has the typed context of each task", () => {
    Email.toBatchLayer(
      Effect.fn("emails")(function*(items) {
        yield* items[0].context.progress(0.5)
        // @ts-expect-error a field is missing
        items[0].context.complete({})
        return yield* Effect.forEach(items, ({ context }) => Effect.exit(Effect.orDie(context.complete(sent))))
      }),
      options
    )
  })

  it("may be made by an effect, whose services and errors the layer shows", () => {
    const live = Email.toBatchLayer(
      Effect.gen(function*() {
        const mailer = yield* Mailer
        yield* Effect.addFinalizer(() => Effect.void)
        if (Math.random() < 0) return yield* new Other()
        return (items) =>
          Effect.forEach(
            items,
            ({ payload, run }) => run(Effect.map(mailer.send(payload.to), (messageId) => ({ messageId })))
          )
      }),
      options
    )
    expectTypeOf(live).toEqualTypeOf<Layer.Layer<never, Other, HandlerRegistry | Mailer>>()
  })
})

type Unsuccessful =
  | TaskCancelled
  | TaskExpired
  | DependencyFailed
  | TaskTimedOut
  | TaskQuarantined
  | TaskDefect
  | TaskNotFound
  | ResultInTransaction

describe("completing a task", () => {
  it("takes its success and gives it back, inside of a handler", () => {
    expectTypeOf(Email.complete).toEqualTypeOf<
      (
        success: { readonly messageId: string }
      ) => Effect.Effect<{ readonly messageId: string }, LeaseLost | StoreError, TaskContext>
    >()
    // @ts-expect-error a field is missing
    Email.complete({})
    // @ts-expect-error an untyped context completes nothing
    TaskContext.use(({ complete }) => complete(sent))
  })
})

describe("executing a task", () => {
  it("gives what its handle's result gives, and fails as enqueue and result do", () => {
    expectTypeOf(Email.execute(address)).toEqualTypeOf<
      Effect.Effect<
        { readonly messageId: string },
        Bounced | Unsuccessful | Task.EnqueueError,
        TaskQueue
      >
    >()
    expectTypeOf(Plain.execute()).toEqualTypeOf<
      Effect.Effect<void, Unsuccessful | Task.EnqueueError, TaskQueue>
    >()
    // @ts-expect-error a field has the wrong type
    Email.execute({ to: 1, at: new Date(0) })
  })
})

describe("the awaited result", () => {
  type Result<A> = A extends Effect.Effect<infer Handle, infer _E, infer _R>
    ? Handle extends { readonly result: infer R } ? R : never
    : never

  it("is the success, the declared error, or a tagged outcome", () => {
    expectTypeOf<Result<ReturnType<typeof Email.enqueue>>>().toEqualTypeOf<
      Effect.Effect<{ readonly messageId: string }, Bounced | Unsuccessful>
    >()
    expectTypeOf<Result<ReturnType<typeof Email.handle>>>().toEqualTypeOf<
      Effect.Effect<{ readonly messageId: string }, Bounced | Unsuccessful>
    >()
    expectTypeOf<Result<ReturnType<typeof Plain.enqueue>>>().toEqualTypeOf<Effect.Effect<void, Unsuccessful>>()
  })

  it("comes with the task, whose payload, result, errors and times are decoded", () => {
    Effect.gen(function*() {
      const { createdAt, failure, history, payload, result, startedAt } = yield* (yield* Email.handle("one")).task
      expectTypeOf(payload).toEqualTypeOf<{ readonly to: string; readonly at: Date }>()
      expectTypeOf(result).toEqualTypeOf<Option.Option<{ readonly messageId: string }>>()
      expectTypeOf(failure!.error).toEqualTypeOf<Bounced | undefined>()
      expectTypeOf(history[0]!.failure!.error).toEqualTypeOf<Bounced | undefined>()
      expectTypeOf(createdAt).toEqualTypeOf<DateTime.Utc>()
      expectTypeOf(startedAt).toEqualTypeOf<DateTime.Utc | null>()
    })
  })

  it("comes from an enqueue that needs a queue and says how it can fail", () => {
    expectTypeOf<Effect.Error<ReturnType<typeof Email.enqueue>>>().toEqualTypeOf<
      | QueueFull
      | KeyConflict
      | UnknownDependency
      | DependencyCycle
      | InvalidOption
      | InvalidPayload
      | UnknownTaskType
      | StoreError
    >()
    expectTypeOf<Effect.Services<ReturnType<typeof Email.enqueue>>>().toEqualTypeOf<TaskQueue>()
  })
})

describe("a definition", () => {
  it("keeps its name as a literal", () => {
    expectTypeOf(Email.type).toEqualTypeOf<"email">()
  })

  it("knows the declared error in its retry policy", () => {
    Task.make("typed", { error: Bounced, retry: { retryable: (error) => error.address !== "" } })
    // @ts-expect-error the error has no such field
    Task.make("typed", { error: Bounced, retry: { retryable: (error) => error.code === 1 } })
  })

  it("refuses priorities that are none", () => {
    Task.make("fine", { priority: "critical" })
    // @ts-expect-error no priority has this name
    assert.throws(() => Task.make("wrong", { priority: "soon" }), "expected an integer from 0 to 9")
  })

  it("refuses schemas that need services", () => {
    // @ts-expect-error the payload's schema needs a Mailer
    Task.make("payload", { payload: NeedsMailer })
    // @ts-expect-error the success's schema needs a Mailer
    Task.make("success", { success: NeedsMailer })
    // @ts-expect-error the error's schema needs a Mailer
    Task.make("error", { error: NeedsMailer })
    // @ts-expect-error a field's schema needs a Mailer
    Task.make("fields", { payload: { to: NeedsMailer } })
  })
})
