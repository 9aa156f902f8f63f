/**
 * The part of the program that a log line comes from. Each line has it as the annotation `module`, and levels can be set by it. Code that says
 * nothing is the `program`.
 */
import { Context, Effect, Layer, References } from "effect"
import { nearest, shortened } from "./Quoting.ts"

/** The modules, and what each of them logs. */
export const modules = {
  attempts: "how attempts of tasks ended: a line each",
  breakers: "circuit breakers that open and close",
  claimer: "asking the store for tasks",
  events: "the feed of events",
  expirer: "waiting tasks that are too old",
  handlers: "what handlers log; handlers:TYPE is the handler of one type",
  http: "requests, and what goes wrong in them",
  leader: "which instance does the chores, and who is alive",
  limits: "limits as the code defines them",
  logs: "keeping what handlers log, and the levels of the log",
  operations: "operations on many tasks",
  pool: "slots, heartbeats, deadlines and progress",
  program: "the start and the end of the process, and all that has no other module",
  pruner: "removing old tasks and what belonged to them",
  queue: "waiting for results, and pauses that end",
  rescuer: "tasks of lost instances",
  schedules: "schedules and their time zones",
  settler: "storing how attempts ended",
  statistics: "the statistics that are kept",
  steps: "waking tasks that sleep or wait",
  store: "the store and the connection to it"
} as const

/** The name of a module. */
export type LogModule = keyof typeof modules

/** The names of the modules, in alphabetical order. */
export const names = Object.keys(modules) as ReadonlyArray<LogModule>

/** Stands for every module that has no level of its own. */
export const others = "*"

/** The module of lines whose code says none. */
export const unknown: LogModule = "program"

/** Stands before the type of a handler. */
const ofHandlers = "handlers:"

/** The module of a handler, by the type of its tasks. */
export const ofType = (type: string): string => ofHandlers + type

/** The type of the handler that a module is; nothing for any other module. */
export const typeOf = (module: string): string | undefined =>
  module.startsWith(ofHandlers) ? module.slice(ofHandlers.length) : undefined

/** A module as it is written: the case of its name does not matter, that of a type does. */
export const normalized = (text: string): string => {
  const [name = "", ...type] = text.trim().split(":")
  return [name.trim().toLowerCase(), ...type].join(":").trim()
}

/** Characters of a name that a refusal shows. */
const maxShown = 80

/** Why a text is no module, and which one was meant; nothing where it is one. A type may be any. */
export const problemOf = (module: string): string | undefined => {
  if (module === others || Object.hasOwn(modules, module)) return undefined
  const type = typeOf(module)
  if (type !== undefined && type !== "") return undefined
  const shown = JSON.stringify(shortened(module, maxShown))
  if (type === "") return `${shown} has no type: write handlers for all of them, or handlers:TYPE`
  const [name = ""] = module.split(":")
  const meant = Object.hasOwn(modules, name) ? name : nearest(name, names)
  return `${shown} is no module` + (meant === undefined ? "." : `; did you mean ${meant}?`) +
    ` The modules are ${names.join(", ")}, and handlers:TYPE`
}

/** The module that a fiber works for, which no annotation of other code can change. */
export const Current: Context.Reference<string> = Context.Reference<string>("taskforge/domain/LogModule", {
  defaultValue: () => unknown
})

/** The name of the annotation. */
export const annotation = "module"

/** Adds the module to what runs with a context. */
export const addTo = <R>(context: Context.Context<R>, module: string): Context.Context<R> =>
  Context.add(
    Context.add(context, Current, module) as Context.Context<R>,
    References.CurrentLogAnnotations,
    { ...Context.get(context, References.CurrentLogAnnotations), [annotation]: module }
  ) as Context.Context<R>

/** What an effect logs, and what is forked in it, is of a module. */
export const within =
  (module: LogModule | "audit") => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.updateContext(effect, (context: Context.Context<R>) => addTo(context, module))

/** The same of what a layer builds. */
export const layerWithin = (module: LogModule) => <A, E, R>(layer: Layer.Layer<A, E, R>): Layer.Layer<A, E, R> =>
  Layer.fromBuild((memoMap, scope) => within(module)(Layer.buildWithMemoMap(layer, memoMap, scope)))
