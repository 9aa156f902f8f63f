/**
 * The task types that a server accepts, whether or not this process has their handlers: those of the program, and those that were
 * defined over HTTP, which the store keeps.
 */
import { Clock, Context, Effect, Layer, Semaphore } from "effect"
import { DefinitionNotFound, InvalidOption, type StoreError } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { nearest } from "../domain/Quoting.ts"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import * as RemoteType from "../remote/RemoteType.ts"
import * as RecordStore from "../store/RecordStore.ts"

/** Stored types that were read before this are read again. */
const freshForMs = 2000

/** Definitions by task type. */
export class TaskCatalog extends Context.Service<TaskCatalog, {
  readonly find: (type: string) => AnyTaskDefinition | undefined
  /** Every definition, by type in alphabetical order. */
  readonly definitions: ReadonlyArray<AnyTaskDefinition>
  /** Their types. */
  readonly types: ReadonlyArray<string>
  /** Whether the program itself defines it. */
  readonly isOwn: (type: string) => boolean
  /** Learns what was defined of late, unless the program itself has these types. All of them where none is named. */
  readonly knowing: (types?: ReadonlyArray<string>) => Effect.Effect<void, StoreError>
  /** Defines a type whose handlers are elsewhere, or defines it otherwise. The types of the program stay as they are. */
  readonly define: (
    type: string,
    given: RemoteType.RemoteType
  ) => Effect.Effect<AnyTaskDefinition, InvalidOption | StoreError>
  /** Forgets a type that was defined so. Its tasks stay. */
  readonly undefine: (type: string) => Effect.Effect<void, DefinitionNotFound | StoreError>
}>()("taskforge/http/TaskCatalog") {
  /** A catalog of these definitions, and of those in the store around it. */
  static readonly layer = (
    definitions: ReadonlyArray<AnyTaskDefinition>
  ): Layer.Layer<TaskCatalog, never, RecordStore.RecordStore> => Layer.effect(TaskCatalog, make(definitions))
}

const make = Effect.fnUntraced(function*(definitions: ReadonlyArray<AnyTaskDefinition>) {
  const own = new Map(definitions.map((definition) => [definition.type, definition]))
  if (own.size !== definitions.length) {
    const twice = definitions.find((definition) => own.get(definition.type) !== definition)
    return yield* Effect.die(new Error(`Task type ${JSON.stringify(twice?.type)} has two definitions in the catalog`))
  }
  const store = yield* RecordStore.RecordStore
  const clock = yield* Clock.Clock
  const turn = Semaphore.makeUnsafe(1)
  /** Stored types by name, each with the version of its record: a definition is made once, since that compiles its schemas. */
  let stored: ReadonlyMap<string, { readonly version: number; readonly definition: AnyTaskDefinition }> = new Map()
  let sorted = sortedByType(definitions)
  let readAt = -Infinity

  const read = Effect.suspend(() => {
    const startedAt = MonotonicClock.millis(clock)
    return Effect.map(
      Effect.provideService(RecordStore.all(RemoteType.kind), RecordStore.RecordStore, store),
      (records) => {
        const before = stored
        const found = new Map<string, { readonly version: number; readonly definition: AnyTaskDefinition }>()
        for (const { document, id, version } of records) {
          const known = before.get(id)
          const definition = known?.version === version ? known.definition : RemoteType.decode(id, document)
          if (definition !== undefined && !own.has(id)) found.set(id, { version, definition })
        }
        stored = found
        sorted = sortedByType([...definitions, ...Array.from(found.values(), ({ definition }) => definition)])
        readAt = startedAt
      }
    )
  })

  const find = (type: string) => own.get(type) ?? stored.get(type)?.definition

  /** A type that is not known may have been defined a moment ago. */
  const isKnown = (types: ReadonlyArray<string> | undefined): boolean =>
    types !== undefined && types.every((type) => own.has(type)) ||
    MonotonicClock.millis(clock) - readAt < freshForMs &&
      (types === undefined || types.every((type) => find(type) !== undefined))

  const demandOther = (type: string) =>
    own.has(type)
      ? Effect.fail(
        new InvalidOption({
          option: "type",
          found: JSON.stringify(type),
          expected: "a type that the server's program does not define itself",
          index: 0
        })
      )
      : Effect.void

  return TaskCatalog.of({
    find,
    isOwn: (type) => own.has(type),
    get definitions() {
      return sorted
    },
    get types() {
      return sorted.map(({ type }) => type)
    },
    knowing: (types) =>
      Effect.suspend(() =>
        isKnown(types) ? Effect.void : turn.withPermit(Effect.suspend(() => isKnown(types) ? Effect.void : read))
      ),
    define: Effect.fnUntraced(function*(type, given) {
      yield* demandOther(type)
      const definition = yield* RemoteType.make(type, given)
      const document = RemoteType.encode(given)
      yield* Effect.gen(function*() {
        const [record] = yield* store.get(RemoteType.kind, [type])
        if (record?.document === document) return
        yield* read
        if (record === undefined && stored.size >= RemoteType.maxTypes) {
          return yield* new InvalidOption({
            option: "type",
            found: "one more",
            expected: `at most ${RemoteType.maxTypes} types that are defined over HTTP: remove some`,
            index: 0
          })
        }
        const expects = record?.version ?? RecordStore.absent
        yield* store.put([{ kind: RemoteType.kind, id: type, expects, document }])
      }).pipe(
        Effect.retry({ while: ({ _tag }) => _tag === "RecordConflict", times: 10 }),
        Effect.catchTag("RecordConflict", Effect.die)
      )
      yield* read
      return find(type) ?? definition
    }),
    undefine: Effect.fnUntraced(function*(type) {
      const removed = !own.has(type) &&
        (yield* Effect.provideService(RecordStore.remove(RemoteType.kind, type), RecordStore.RecordStore, store))
      yield* read
      if (!removed) {
        return yield* new DefinitionNotFound({
          type,
          nearest: nearest(type, sorted.map(({ type }) => type)) ?? null
        })
      }
    })
  })
})

const sortedByType = (definitions: ReadonlyArray<AnyTaskDefinition>): ReadonlyArray<AnyTaskDefinition> =>
  definitions.toSorted((one, other) => one.type < other.type ? -1 : 1)
