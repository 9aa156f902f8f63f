/** What a command works on: a server by its URL, or a store by its own. Either way it speaks the same API. */
import { Config, ConfigProvider, Context, Effect, Layer, Option, Schedule } from "effect"
import { Command, Flag } from "effect/cli"
import { FetchHttpClient, type HttpClient, HttpEffect } from "effect/http"
import { existsSync } from "node:fs"
import * as Settings from "../config/Settings.ts"
import * as StoreUrl from "../config/StoreUrl.ts"
import type { StoreError } from "../domain/Errors.ts"
import { quoted } from "../domain/Quoting.ts"
import * as Redaction from "../domain/Redaction.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import * as Engine from "../engine/Engine.ts"
import { EventFeed } from "../events/EventFeed.ts"
import * as Handlers from "../handlers/index.ts"
import { Api } from "../http/api/Api.ts"
import * as ApiClient from "../http/client/ApiClient.ts"
import { TaskCatalog } from "../http/TaskCatalog.ts"
import * as TaskRoutes from "../http/TaskRoutes.ts"
import { TaskQueue } from "../queue/TaskQueue.ts"
import * as SelectedStore from "../server/SelectedStore.ts"
import { Failure, failureOf, failureToOpen, usage } from "./Failure.ts"
import * as Input from "./Input.ts"

/** Three times within about a second and a half: a person waits for the answer. */
const impatient = Schedule.exponential("200 millis").pipe(Schedule.upTo({ times: 3 }))

/** Where the server is when nothing is said. */
const defaultServer = "http://localhost:8080"

/** The flags of every command that works on a target. */
export const flags = {
  server: Input.textFlag("server", "URL", `The server to ask: TASKFORGE_URL, or ${defaultServer}`).pipe(
    Flag.withAlias("s")
  ),
  store: Input.textFlag("store", "URL", "Works on a store, without a server: sqlite:PATH, postgres://… or redis://…"),
  apiKey: Flag.Redacted("api-key").pipe(
    Flag.withMetavar("KEY"),
    Flag.withDescription("The key that the server asks for: TASKFORGE_API_KEY"),
    Flag.optional
  ),
  json: Input.jsonFlag
}

/** What was given for them, and for those of a command's own. */
export type Given<Config extends Command.Command.Config = {}> =
  & Command.Command.Config.Infer<typeof flags>
  & Command.Command.Config.Infer<Config>

/** The API of whatever a command works on. */
export class Target extends Context.Service<Target, {
  readonly api: ApiClient.ApiClient
  /** The URL, as people know it. */
  readonly name: string
  /** Sends a request that changes nothing when it is seen twice, again if need be. */
  readonly repeatable: <A, E, R>(request: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The same, with its errors worded for people. */
  readonly ask: <A, E, R>(request: Effect.Effect<A, E, R>) => Effect.Effect<A, Failure, R>
  /** {@link repeatable} for a command that has come far: it outlasts the restart of a server. */
  readonly patient: <A, E, R>(request: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Goes on with operations on many tasks, where there may be no server that does; answers how many milliseconds there is nothing to do. */
  readonly goOn: Effect.Effect<number, Failure>
  /** Words an error of the API for people. */
  readonly problem: (error: unknown) => Failure
}>()("taskforge/cli/Target") {}

/** A command that works on the target that is given. */
export const command = <const Name extends string, const Config extends Command.Command.Config, A, E, R>(
  name: Name,
  config: Config,
  work: (given: Given<Config>) => Effect.Effect<A, E, R>
) =>
  Command.make(name, { ...flags, ...config }, (input) => {
    const given = input as Given<Config>
    return on(given, Effect.suspend(() => work(given)))
  })

/** Does something on the target that is given. A store knows the task types that ship with it, and these `definitions`. */
export const on = <A, E, R>(
  given: Given,
  work: Effect.Effect<A, E, R>,
  definitions: ReadonlyArray<AnyTaskDefinition> = []
) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(layer(given, definitions)), (context) =>
      Effect.provideContext(Effect.catchDefect(work, unreachable), context))
  )

/** The client of the API makes no URL of a dot segment, of which a server would never hear. */
const unreachable = (defect: unknown): Effect.Effect<never, Failure> => {
  const [, name] = defect instanceof Error ? /^Invalid path parameter: (\w+)$/.exec(defect.message) ?? [] : []
  return name === undefined ? Effect.die(defect) : Effect.fail(
    new Failure({
      exit: "input",
      code: "invalid_request",
      problem: `Expected neither "." nor ".." at ${name.toUpperCase()}: no URL ends with one`
    })
  )
}

const layer = (given: Given, definitions: ReadonlyArray<AnyTaskDefinition>): Layer.Layer<Target, Failure> =>
  Layer.unwrap(Effect.gen(function*() {
    const storeUrl = Option.getOrUndefined(given.store)
    const serverUrl = Option.getOrUndefined(given.server)
    if (storeUrl !== undefined && serverUrl !== undefined) {
      return yield* usage(
        "--server and --store exclude each other",
        "Name the server to ask it, or the store to work on it without a server."
      )
    }
    return storeUrl === undefined ? yield* overHttp(serverUrl, given.apiKey) : yield* onStore(storeUrl, definitions)
  }))

const overHttp = Effect.fnUntraced(function*(given: string | undefined, givenKey: Given["apiKey"]) {
  const named = given ?? (yield* variable("TASKFORGE_URL")) ?? defaultServer
  const url = withScheme(named)
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    return yield* usage(
      `${Redaction.url(named)} is not the URL of a server`,
      `It looks like ${defaultServer} or https://tasks.example.org; a store is named with --store.`
    )
  }
  const { hash, password, search, username } = new URL(url)
  if (username + password + search + hash !== "") {
    return yield* usage(
      `${Redaction.url(url)} has more than the address and the path of a server`,
      "Give a key with --api-key or TASKFORGE_API_KEY; a user, a password and a query cannot be sent."
    )
  }
  const apiKey = Option.getOrUndefined(givenKey) ?? (yield* variable("TASKFORGE_API_KEY"))
  return make(url, { url, apiKey }).pipe(Layer.provide(FetchHttpClient.layer))
})

/** People write `localhost:8080`, which a URL reads as the scheme "localhost". */
const withScheme = (url: string): string =>
  /^(localhost|\[[\da-f:.]+\]|[\w-]+(\.[\w-]+)+|[\w-]+(?=:\d))(:\d+)?(\/|$)/i.test(url) ? `http://${url}` : url

const onStore = Effect.fnUntraced(function*(url: string, own: ReadonlyArray<AnyTaskDefinition>) {
  const types = new Set(own.map(({ type }) => type))
  const shipped = Handlers.definitions.filter(({ type }) => !types.has(type))
  const { name, settings } = yield* storeOf(Option.some(url), false)
  return Layer.unwrap(Effect.map(TaskQueue, ({ operations }) => make(name, { url: localUrl }, operations.goOn))).pipe(
    Layer.provide(localClient),
    Layer.provide(TaskCatalog.layer([...shipped, ...own])),
    Layer.provide(Engine.layerProducer({ queue: { maxRetries: settings.retryAttempts } })),
    Layer.provide(SelectedStore.layer(settings)),
    Layer.catchCause((cause) => Layer.effect(Target, Effect.fail(failureToOpen(cause, name))))
  )
})

const make = (
  name: string,
  options: ApiClient.Options,
  goOn: Effect.Effect<number, StoreError> = Effect.succeed(Infinity)
): Layer.Layer<Target, never, HttpClient.HttpClient> =>
  Layer.effect(
    Target,
    Effect.map(ApiClient.make(Api, options), (api) => {
      const repeatable = ApiClient.repeatable(impatient)
      const problem = (error: unknown) => failureOf(error, name)
      const ask = <A, E, R>(request: Effect.Effect<A, E, R>) => Effect.mapError(repeatable(request), problem)
      return Target.of({
        api,
        name,
        repeatable,
        ask,
        patient: ApiClient.repeatable(),
        goOn: Effect.mapError(goOn, problem),
        problem
      })
    })
  )

const variable = (name: string): Effect.Effect<string | undefined, Failure> =>
  Effect.mapBoth(Config.option(Config.String(name)), {
    onFailure: (error) => new Failure({ exit: "configuration", problem: error.message }),
    onSuccess: (text) => Option.getOrUndefined(Option.filter(text, (one) => one !== ""))
  })

/**
 * The settings of the environment, on this store if one is given, and its name without the password that may be in it.
 * It is one that a command can open, and that is there unless the command `creates` it.
 */
export const storeOf = Effect.fnUntraced(function*(given: Option.Option<string>, creates: boolean) {
  if (Option.isSome(given) && StoreUrl.parse(given.value) === undefined) {
    return yield* usage(
      `--store ${Redaction.url(given.value)} is not the URL of a store`,
      "It looks like sqlite:data/taskforge.db or postgres://app@localhost/tasks; a server is named with --server."
    )
  }
  const environment = yield* ConfigProvider.ConfigProvider
  const provider = Option.match(given, {
    onNone: () => environment,
    onSome: (url) => ConfigProvider.orElse(ConfigProvider.fromUnknown({ STORE_URL: url }), environment)
  })
  const settings = yield* Effect.provideService(Settings.load, ConfigProvider.ConfigProvider, provider).pipe(
    Effect.mapError((error) => failureOf(error, "The store"))
  )
  const { store } = settings
  const name = StoreUrl.format(store)
  if (store._tag === "Memory") {
    return yield* usage(
      "A store in memory lives in one process, so there is nothing to work on",
      "Name another one with --store, for example sqlite:data/taskforge.db."
    )
  }
  if (store._tag === "Sqlite" && !creates && !existsSync(store.path)) {
    return yield* new Failure({
      exit: "unknown",
      problem: `There is no store at ${store.path}`,
      advice: `Create it with: taskforge migrate --store ${quoted(name)}`
    })
  }
  return { name, settings }
})

/** Where the requests of {@link localClient} seem to go. */
const localUrl = "http://localhost"

/**
 * A client whose requests go straight to the routes of the engine in this process, without a server in between: whatever
 * works against a server works against a bare store.
 */
const localClient = FetchHttpClient.layer.pipe(
  Layer.provide(Layer.effect(
    FetchHttpClient.Fetch,
    Effect.gen(function*() {
      const handle = HttpEffect.toWebHandler(yield* TaskRoutes.standalone({ requireKeys: "never" }))
      return (input, init) => handle(new Request(input, init))
    })
  )),
  Layer.provide(EventFeed.layer)
) satisfies Layer.Layer<HttpClient.HttpClient, unknown, unknown>
