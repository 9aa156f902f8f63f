import { Clock, DateTime, Effect, Redacted } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as ApiKeys from "../../access/ApiKeys.ts"
import { Role } from "../../domain/ApiKey.ts"
import { Failure, failureOf } from "../Failure.ts"
import * as Input from "../Input.ts"
import * as Screen from "../Screen.ts"
import * as Table from "../Table.ts"
import * as Words from "../Words.ts"
import * as Store from "./Store.ts"

const create = Command.make("create", {
  store: Store.storeFlag,
  json: Input.jsonFlag,
  name: Argument.String("name").pipe(Argument.withDescription("Who will use it")),
  role: Flag.Literals("role", Role.literals).pipe(
    Flag.withAlias("r"),
    Flag.withDescription(
      "read only reads, write also enqueues, cancels and reruns, work only runs tasks, admin may do everything"
    ),
    Flag.withDefault("write")
  )
}, ({ json, name, role, store }) =>
  onKeys(
    store,
    Effect.gen(function*() {
      const { key, secret } = yield* ApiKeys.create({ name, role })
      const text = Redacted.value(secret)
      if (json) return yield* Screen.json({ id: key.id, name: key.name, role: key.role, secret: text })
      const paint = yield* Screen.paint
      yield* Screen.line(
        `${paint.good("✓")} Made the key ${paint.bold(key.id)} for ${Screen.plain(name)}, who may ${role}:`
      )
      yield* Screen.line(`\n  ${paint.accent(text)}\n`)
      yield* Screen.line(
        paint.dim("It is not shown again. Send it as Authorization: Bearer, or set TASKFORGE_API_KEY.")
      )
    }),
    true
  )).pipe(
    Command.withDescription("Create an API key; once the first key exists, servers on the store require keys"),
    Command.withShortDescription("Make an API key"),
    Command.withExamples([{ command: "taskforge keys create ci --role write", description: "A key that enqueues" }])
  )

const list = Command.make(
  "list",
  { store: Store.storeFlag, json: Input.jsonFlag },
  ({ json, store }) =>
    onKeys(
      store,
      Effect.gen(function*() {
        const keys = yield* ApiKeys.list
        if (json) return yield* Effect.forEach(keys, Screen.json, { discard: true })
        const screen = yield* Screen.Screen
        const paint = Screen.paintOn(screen)
        if (keys.length === 0) {
          return yield* Screen.line(
            `There are no keys, so servers listen on this machine only. Make one:\n\n  ${
              paint.accent("taskforge keys create NAME --role write")
            }`
          )
        }
        const now = yield* Clock.currentTimeMillis
        const rows = keys.map(({ createdAt, id, name, role }) => [
          id,
          Screen.plain(name),
          role,
          paint.dim(Words.relative(DateTime.toEpochMillis(createdAt), now))
        ])
        const columns = [{ head: "ID" }, { head: "NAME", shrinksTo: 10 }, { head: "ROLE" }, { head: "MADE" }]
        for (const line of Table.format(columns, rows, yield* screen.columns, paint.dim)) yield* Screen.line(line)
      })
    )
).pipe(Command.withDescription("List the API keys, without their secrets"), Command.withAlias("ls"))

const revoke = Command.make("revoke", {
  store: Store.storeFlag,
  json: Input.jsonFlag,
  ids: Argument.String("id").pipe(Argument.withDescription("The key"), Argument.variadic({ min: 1 }))
}, ({ ids, json, store }) =>
  onKeys(
    store,
    Effect.gen(function*() {
      const paint = yield* Screen.paint
      for (const id of ids) {
        yield* ApiKeys.revoke(id)
        yield* json
          ? Screen.json({ id, revoked: true })
          : Screen.line(
            `${paint.good("✓")} ${paint.bold(Screen.plain(id))} is taken no more, on all servers within five seconds`
          )
      }
    })
  )).pipe(
    Command.withDescription("Revoke API keys"),
    Command.withExamples([{ command: "taskforge keys revoke 9f86d081884c", description: "The one that leaked" }])
  )

/** Makes, shows and takes back API keys. */
export const command = Command.make("keys").pipe(
  Command.withDescription("Create, list and revoke API keys, which are stored with the tasks"),
  Command.withSubcommands([create, list, revoke])
)

const onKeys = <A, E, R>(
  store: Parameters<typeof Store.withStore>[0],
  work: Effect.Effect<A, E, R>,
  creates = false
) => Store.withStore(store, () => Effect.mapError(work, wordingOf), creates ? "create" : "change")

const wordingOf = (error: unknown): Failure =>
  error instanceof ApiKeys.KeyNotFound
    ? new Failure({
      exit: "unknown",
      code: "key_not_found",
      problem: error.message,
      advice: "taskforge keys list shows the keys there are."
    })
    : error instanceof ApiKeys.InvalidKeyName
    ? new Failure({ exit: "input", code: "invalid_name", problem: error.message })
    : failureOf(error, "The store")
