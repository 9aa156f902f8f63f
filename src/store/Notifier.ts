/**
 * Hints between the parts of one engine, and with some drivers between processes: there is work, stop this task,
 * these tasks have finished. A hint is never needed for correctness; losing one costs one poll interval.
 */
import { Context, Effect, Layer, Schema, type Scope } from "effect"
import { idOf } from "../domain/Seen.ts"
import type { SettleAnswer, Settlement } from "../domain/Settlement.ts"
import { isFinished } from "../domain/TaskState.ts"
import { type Consequences, noConsequences } from "./Dependencies.ts"
import * as Gates from "./Gates.ts"
import type { Change, RecordStore } from "./RecordStore.ts"
import type { EnqueueAnswer, Expired, TaskStore } from "./TaskStore.ts"

/** One hint. */
export type Hint =
  | { readonly _tag: "Work" }
  | { readonly _tag: "Cancel"; readonly ids: ReadonlyArray<string> }
  | { readonly _tag: "Finished"; readonly ids: ReadonlyArray<string> }
  /** The log of events has grown, or a reader begins to read it. */
  | { readonly _tag: "Events" }

/** There is work to claim. */
export const work: Hint = { _tag: "Work" }

/** Look at the log of events. */
export const events: Hint = { _tag: "Events" }

/** Carries hints to all listeners. */
export class Notifier extends Context.Service<Notifier, {
  /** Tells every listener. Never fails: what cannot be delivered is found by polling. */
  readonly publish: (hint: Hint) => Effect.Effect<void>
  /** Calls a listener for each hint until the scope closes. It must return at once and never throw. */
  readonly listen: (listener: (hint: Hint) => void) => Effect.Effect<void, never, Scope.Scope>
  /**
   * How this process learns of what others do now: by their `hints`, or by `polling` alone while these do not arrive. Left
   * out where the driver does not know.
   */
  readonly arriving?: Effect.Effect<"hints" | "polling"> | undefined
}>()("taskforge/store/Notifier") {
  /** Hints within one process. */
  static readonly layerMemory: Layer.Layer<Notifier> = Layer.sync(Notifier, () => {
    const listeners = new Listeners()
    return Notifier.of({ publish: (hint) => Effect.sync(() => listeners.tell(hint)), listen: listeners.listen })
  })
}

/** Those who listen in this process. */
export class Listeners {
  private readonly all = new Set<(hint: Hint) => void>()

  tell(hint: Hint): void {
    for (const listener of this.all) listener(hint)
  }

  /** See {@link Notifier}. */
  readonly listen = (listener: (hint: Hint) => void): Effect.Effect<void, never, Scope.Scope> =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() => this.all.add(listener)),
      () => Effect.sync(() => this.all.delete(listener))
    ))

  /** Tells all hints of a message. */
  tellAll({ cancel, events: hasEvents, finished, work: hasWork }: Hints): void {
    if (hasWork === true) this.tell(work)
    if (hasEvents === true) this.tell(events)
    if (cancel !== undefined) this.tell({ _tag: "Cancel", ids: cancel })
    if (finished !== undefined) this.tell({ _tag: "Finished", ids: finished })
  }
}

/**
 * A store that tells of what it has changed: that there is work, which tasks are to be stopped, and which have finished. No
 * other part of the engine publishes these hints. In an application's transaction they wait until it is committed.
 */
export const announcing = (
  store: TaskStore["Service"],
  publish: (hint: Hint) => Effect.Effect<void>
): TaskStore["Service"] => {
  const afterwards = <A, E>(effect: Effect.Effect<A, E>, hintsOf: (answer: A) => ReadonlyArray<Hint>) =>
    Effect.flatMap(effect, (answer) => {
      const hints = withConsequences(hintsOf(answer), store.consequences())
      return hints.length === 0
        ? Effect.succeed(answer)
        : Effect.as(hints.length === 1 ? publish(hints[0]!) : Effect.forEach(hints, publish, { discard: true }), answer)
    })
  return {
    ...store,
    enqueue: (groups) => afterwards(store.enqueue(groups), (answers) => answers.some(isAccepted) ? someWork : none),
    settle: (settlements) => afterwards(store.settle(settlements), (answers) => hintsOfEnds(settlements, answers)),
    rescue: (request) =>
      afterwards(store.rescue(request), ({ rescued }) => [
        ...(rescued.some(({ state }) => state === "pending") ? someWork : none),
        ...finished(rescued.filter(({ state }) => isFinished(state)).map(({ id }) => id))
      ]),
    claim: (request) => afterwards(store.claim(request), ({ expired = none }) => hintsOfExpired(expired)),
    expire: (limit) => afterwards(store.expire(limit), hintsOfExpired),
    tell: afterwards(store.tell, () => none),
    cancel: (tasks) =>
      afterwards(store.cancel(tasks), (answers) => {
        const ids = tasks.map(idOf)
        const running = ids.filter((_, index) => answers[index] === "requested")
        const ended = ids.filter((_, index) => answers[index] === "cancelled" || answers[index] === "finished")
        return [
          ...(running.length === 0 ? none : [{ _tag: "Cancel", ids: running } as const]),
          ...finished(ended),
          // It may have held up others of its key
          ...(answers.includes("cancelled") ? someWork : none)
        ]
      }),
    remove: (ids) => afterwards(store.remove(ids), (answers) => answers.includes("removed") ? someWork : none),
    reschedule: (requests) =>
      afterwards(
        store.reschedule(requests),
        (answers) => answers.some(({ _tag }) => _tag === "rescheduled") ? someWork : none
      ),
    letGo: (passes) => afterwards(store.letGo(passes), () => someWork),
    charge: (charges) => afterwards(store.charge(charges), () => charges.some(givesBack) ? someWork : none),
    reopen: (ids, options) =>
      afterwards(
        store.reopen(ids, options),
        (answers) => answers.some(({ _tag }) => _tag === "rerun") ? someWork : none
      ),
    rerun: (ids) =>
      afterwards(store.rerun(ids), (answers) => answers.some(({ _tag }) => _tag === "rerun") ? someWork : none)
  }
}

/** The hints, and those of what has come of the same write for tasks that depend on others. */
const withConsequences = (hints: ReadonlyArray<Hint>, consequences: Consequences): ReadonlyArray<Hint> => {
  if (consequences === noConsequences) return hints
  const { dropped, released } = consequences
  return [
    ...(released && !hints.includes(work) ? someWork : none),
    ...hints,
    ...finished(dropped.map(({ id }) => id))
  ]
}

/**
 * Records that tell that there is work once a queue, type or key is no longer paused or a limit has changed, and what is written
 * together with them.
 */
export const announcingRecords = (
  store: RecordStore["Service"],
  publish: (hint: Hint) => Effect.Effect<void>,
  consequences: () => Consequences = () => noConsequences
): RecordStore["Service"] => ({
  ...store,
  put: (changes, nonce) =>
    changes.some(opensGate)
      ? Effect.tap(store.put(changes, nonce), publish(work))
      : store.put(changes, nonce),
  atomically: (nonce, parts) => {
    const { changes = [], settlements = [], tasks = [] } = parts
    const ends = hintsOfEnds(settlements, settlements.map(() => "applied"))
    const hints = (tasks.length > 0 || changes.some(opensGate)) && !ends.includes(work) ? [work, ...ends] : ends
    return Effect.tap(
      store.atomically(nonce, parts),
      () => Effect.forEach(withConsequences(hints, consequences()), publish, { discard: true })
    )
  }
})

const opensGate = ({ document, kind }: Change): boolean =>
  kind === Gates.limitKind || (document === null && Gates.kinds.has(kind))

const givesBack = ({ amount }: Gates.Charge): boolean => amount < 0

const none: ReadonlyArray<never> = []
const someWork: ReadonlyArray<Hint> = [work]
const finished = (ids: ReadonlyArray<string>): ReadonlyArray<Hint> =>
  ids.length === 0 ? none : [{ _tag: "Finished", ids }]

/** They may have held up others of their key. */
const hintsOfExpired = (expired: ReadonlyArray<Expired>): ReadonlyArray<Hint> =>
  expired.length === 0 ? none : [...finished(expired.map(({ id }) => id)), work]

const isAccepted = ({ _tag }: EnqueueAnswer): boolean => _tag === "Accepted"

/** A task that runs again later is work too: idle pools learn when it is due. */
const hintsOfEnds = (
  settlements: ReadonlyArray<Settlement>,
  answers: ReadonlyArray<SettleAnswer>
): ReadonlyArray<Hint> => {
  const ended: Array<string> = []
  let runsAgain = false
  settlements.forEach(({ _tag, id }, index) => {
    if (answers[index] === "stale") return
    if (_tag === "Complete" || _tag === "Fail" || _tag === "Cancel") ended.push(id)
    else runsAgain ||= answers[index] === "applied"
  })
  return runsAgain ? [work, ...finished(ended)] : finished(ended)
}

const Ids = Schema.optionalKey(Schema.Array(Schema.String))

/** Hints as processes send them to each other, merged into one message. */
export const Hints = Schema.Struct({
  /** Who sent it; it has heard already. */
  from: Schema.optionalKey(Schema.Union([Schema.String, Schema.Int])),
  work: Schema.optionalKey(Schema.Boolean),
  events: Schema.optionalKey(Schema.Boolean),
  /** Tasks to be stopped. */
  cancel: Ids,
  /** Tasks that have ended. */
  finished: Ids,
  /** Tasks whose end is to be announced. */
  awaited: Ids
})

/** What {@link Hints} decodes to. */
export type Hints = typeof Hints.Type

/** Reads a message; nothing where it is one of another version. */
export const decodeHints = Schema.decodeUnknownOption(Schema.fromJsonString(Hints))

/**
 * Bytes of ids in one message at most, as JSON: PostgreSQL takes less than 8000, and the sender and the names of the fields
 * are in it too.
 */
const maxBytes = 7000

/** Ids that wait at most; what goes beyond is found by polling. */
const maxWaiting = 10_000

const kinds = ["cancel", "finished", "awaited"] as const

/** Hints that wait to be sent to the other processes, merged into as few as possible. */
export class Outbox {
  private readonly flags = { work: false, events: false }
  private readonly ids = {
    cancel: new Set<string>(),
    finished: new Set<string>(),
    awaited: new Set<string>()
  }

  get isEmpty(): boolean {
    return !this.flags.work && !this.flags.events && kinds.every((kind) => this.ids[kind].size === 0)
  }

  /** Takes a hint that others shall have. */
  post(hint: Exclude<Hint, { readonly _tag: "Finished" }>): void {
    if (hint._tag === "Cancel") this.add("cancel", hint.ids)
    else this.flags[hint._tag === "Work" ? "work" : "events"] = true
  }

  add(kind: typeof kinds[number], ids: ReadonlyArray<string>): void {
    const waiting = this.ids[kind]
    for (const id of ids) if (waiting.size < maxWaiting) waiting.add(id)
  }

  /** Takes as much as one message holds. */
  take(): Hints {
    const hints: { -readonly [Kind in keyof Hints]: Hints[Kind] } = {}
    for (const name of ["work", "events"] as const) {
      if (this.flags[name]) hints[name] = true
      this.flags[name] = false
    }
    let room = maxBytes
    for (const kind of kinds) {
      const taken: Array<string> = []
      for (const id of this.ids[kind]) {
        const bytes = bytesOf(id)
        if (bytes > room && bytes <= maxBytes) break
        this.ids[kind].delete(id)
        // one that is longer than any message is left to polling
        if (bytes > room) continue
        room -= bytes
        taken.push(id)
      }
      if (taken.length > 0) hints[kind] = taken
    }
    return hints
  }
}

/** What an id and its comma take up: JSON escapes control characters with six bytes each. */
const bytesOf = (id: string): number => Buffer.byteLength(JSON.stringify(id)) + 1
