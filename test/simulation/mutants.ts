/**
 * Engines that are broken on purpose. Each breaks one promise; an invariant has to notice. One that survives the search
 * means that an invariant is missing.
 */
import { Effect } from "effect"
import { StoreError } from "../../src/domain/Errors.ts"
import { idOf } from "../../src/domain/Seen.ts"
import type { SettleAnswer, Settlement } from "../../src/domain/Settlement.ts"
import type { ClaimedTask, NewTask } from "../../src/domain/TaskRecord.ts"
import * as PausedQueues from "../../src/store/PausedQueues.ts"
import { absent, type Change, type RecordStore } from "../../src/store/RecordStore.ts"
import type { EnqueueAnswer, TaskStore } from "../../src/store/TaskStore.ts"
import { Slots } from "../../src/worker/Slots.ts"
import { batchMutants } from "./batchMutants.ts"
import { dependencyMutants } from "./dependencyMutants.ts"
import { executionMutants } from "./executionMutants.ts"
import { flowMutants } from "./flowMutants.ts"
import { gateMutants } from "./gateMutants.ts"
import { keyMutants } from "./keyMutants.ts"
import type { Mutant } from "./Mutant.ts"
import { scheduleMutants } from "./scheduleMutants.ts"

type Store = TaskStore["Service"]
type Records = RecordStore["Service"]

/** Changes that expect whatever is there. */
const unconditional = (store: Records, changes: ReadonlyArray<Change>) =>
  Effect.map(
    Effect.forEach(changes, (change) =>
      Effect.map(
        store.get(change.kind, [change.id]),
        ([record]) => ({ ...change, expects: record?.version ?? absent })
      )),
    // nothing can be deleted that is not there
    (given) => given.filter(({ document, expects }) => document !== null || expects !== absent)
  )

/** A store that does one thing in another way. */
const but = (change: (store: Store) => Partial<Store>) => (store: Store): Store => ({ ...store, ...change(store) })

/** The same settlement under another claim number. */
const under = (settlement: Settlement, claim: number): Settlement => ({ ...settlement, claim })

/** New tasks as something else. */
const storedAs = (change: (task: NewTask) => NewTask) =>
  but((store) => ({ enqueue: (groups) => store.enqueue(groups.map((group) => group.map(change))) }))

export const mutants: ReadonlyArray<Mutant> = [
  {
    name: "expiry forgotten: tasks start however old they are",
    noticedAt: 0,
    store: storedAs((task) => ({ ...task, expiresInMs: null }))
  },
  {
    name: "expiry counted from too early: tasks end before their time",
    noticedAt: 0,
    store: storedAs((task) => ({
      ...task,
      expiresInMs: task.expiresInMs === null ? null : Math.ceil(task.expiresInMs / 2)
    }))
  },
  {
    name: "expiry ends what runs",
    noticedAt: 52,
    store: but((store) => ({
      expire: (limit) =>
        Effect.flatMap(
          Effect.map(store.list({ limit: 100, states: ["running"] }), ({ tasks }) =>
            tasks.filter(({ createdAt, expiresAt }) => expiresAt !== null && expiresAt < createdAt + 1000)),
          (late) =>
            Effect.map(
              Effect.andThen(
                store.settle(late.map(({ claim, id }): Settlement => ({ _tag: "Cancel", id, claim }))),
                store.expire(limit)
              ),
              (expired) => [...late.map(({ claims, ...task }) => ({ ...task, attempt: claims })), ...expired]
            )
        )
    }))
  },
  {
    name: "deadlines forgotten: tasks that should start within a time go by when they became due",
    noticedAt: 0,
    store: storedAs((task) => ({ ...task, startWithinMs: null }))
  },
  {
    name: "deadline of a retry forgotten: it goes by when it became due",
    noticedAt: 12,
    store: but((store) => ({
      settle: (settlements) =>
        Effect.tap(
          store.settle(settlements),
          () =>
            Effect.forEach(settlements, ({ _tag, id }) =>
              Effect.flatMap(_tag === "Retry" ? store.get(id) : Effect.undefined, (task) =>
                task === undefined || task.startWithinMs === null
                  ? Effect.void
                  : store.reschedule([{ id, type: task.type, queue: task.queue, startWithinMs: null }])))
        )
    }))
  },
  {
    name: "deadlines held to by later attempts: their starts are counted too",
    noticedAt: 0,
    store: but((store) => ({
      claim: (request) =>
        Effect.map(store.claim(request), (answer) => ({
          ...answer,
          tasks: answer.tasks.map((task) => ({
            ...task,
            startBy: task.startBy ?? (task.attempt > 1 ? task.dueAt : null)
          }))
        }))
    }))
  },
  {
    name: "fencing removed: whoever settles a running task settles it",
    noticedAt: 738,
    store: but((store) => ({
      settle: (settlements) =>
        Effect.flatMap(
          Effect.forEach(settlements, (settlement) =>
            Effect.map(store.get(settlement.id), (task) =>
              task?.state === "running" ? under(settlement, task.claim) : settlement)),
          store.settle
        )
    }))
  },
  {
    name: "settlement not retried: a store error is taken for an answer",
    noticedAt: 33,
    engine: but((store) => ({
      settle: (settlements) =>
        Effect.orElseSucceed(store.settle(settlements), () => settlements.map((): SettleAnswer => "applied"))
    }))
  },
  {
    name: "refusal taken for an outage: the same batch is sent for ever",
    noticedAt: 26,
    engine: but((store) => ({
      settle: (settlements) =>
        Effect.mapError(store.settle(settlements), ({ operation, reason }) => new StoreError({ operation, reason }))
    }))
  },
  {
    name: "refusal shared: whatever came in one batch with the culprit fails with it",
    noticedAt: 1550,
    engine: but((store) => ({
      settle: (settlements) =>
        Effect.catchIf(
          store.settle(settlements),
          ({ refused }) => refused === true,
          ({ reason: message }) =>
            store.settle(settlements.map(({ claim, id }): Settlement => ({
              _tag: "Fail",
              id,
              claim,
              failure: { kind: "invalid", tag: "InvalidEnd", message }
            })))
        )
    }))
  },
  {
    name: "heartbeat forgotten",
    noticedAt: 1,
    engine: but(() => ({ extend: (refs) => Effect.succeed(refs.map(() => "held")) }))
  },
  {
    name: "heartbeat not fenced: it prolongs whatever claim the task has now",
    noticedAt: 568,
    store: but((store) => ({
      extend: (refs, leaseForMs) =>
        Effect.flatMap(
          Effect.forEach(refs, ({ claim, id }) =>
            Effect.map(store.get(id), (task) => ({ id, claim: task?.claim ?? claim }))),
          (current) =>
            store.extend(current, leaseForMs)
        )
    }))
  },
  {
    name: "lost lease ignored",
    noticedAt: 2940,
    engine: but((store) => ({
      extend: (refs, leaseForMs) =>
        Effect.map(
          store.extend(refs, leaseForMs),
          (answers) => answers.map((answer) => answer === "lost" ? "held" : answer)
        )
    }))
  },
  {
    name: "rescue too eager: leases run out after a fifth of their time",
    store: but((store) => ({
      claim: (request) => store.claim({ ...request, leaseForMs: request.leaseForMs / 5 })
    }))
  },
  {
    name: "the store's clock believed: a lease runs out when it is set forward",
    noticedAt: 304,
    store: but((store) => ({
      rescue: (request) => store.rescue({ ...request, earliest: Number.MAX_SAFE_INTEGER })
    }))
  },
  {
    name: "the store's clock believed: a lease is too far ahead when it is set back",
    engine: but((store) => ({ rescue: (request) => store.rescue({ ...request, latest: 0 }) }))
  },
  {
    name: "leases of before the clock was set back are never too far ahead",
    noticedAt: 1265,
    engine: but((store) => ({ rescue: (request) => store.rescue({ ...request, maxAheadMs: 1e12 }) }))
  },
  {
    name: "no waiting before the first rescue, nor after the store was out of reach",
    noticedAt: 143,
    engine: but((store) => ({
      rescue: (request) =>
        store.rescue(
          request.limit > 0
            ? request
            : { ...request, limit: 100, earliest: Number.MAX_SAFE_INTEGER, maxOffMs: Number.MAX_SAFE_INTEGER }
        )
    }))
  },
  {
    name: "permit leaked: one slot in five does not come back",
    patch: () => {
      const { release } = Slots.prototype
      let released = 0
      Slots.prototype.release = function(slot, queue) {
        if (++released % 5 !== 0) release.call(this, slot, queue)
      }
      return () => {
        Slots.prototype.release = release
      }
    }
  },
  {
    name: "one task too many claimed",
    engine: but((store) => ({ claim: (request) => store.claim({ ...request, limit: request.limit + 1 }) }))
  },
  {
    name: "rank reversed",
    store: but((store) => ({
      enqueue: (groups) =>
        store.enqueue(groups.map((group) => group.map((task) => ({ ...task, priority: 9 - task.priority }))))
    }))
  },
  {
    name: "key checked outside the transaction",
    noticedAt: 4,
    store: (store) => {
      const seen = new Set<string>()
      const keyOf = ({ key, type }: NewTask) => `${type}/${key}`
      return {
        ...store,
        enqueue: (groups) =>
          Effect.gen(function*() {
            const isKnown = groups.flat().some((task) => task.key !== null && seen.has(keyOf(task)))
            yield* Effect.yieldNow
            groups.flat().forEach((task) => seen.add(keyOf(task)))
            return yield* store.enqueue(
              isKnown ? groups : groups.map((group) => group.map((task) => ({ ...task, key: null })))
            )
          })
      }
    }
  },
  {
    name: "nonce ignored",
    noticedAt: 100,
    store: (store) => {
      let nonce = 0
      return { ...store, claim: (request) => store.claim({ ...request, nonce: ++nonce }) }
    }
  },
  {
    name: "claimed twice: an answer is taken for the next one as well",
    engine: (store) => {
      let last: ReadonlyArray<ClaimedTask> = []
      return {
        ...store,
        claim: (request) =>
          Effect.map(store.claim(request), (answer) => {
            const again = last.slice(0, request.limit - answer.tasks.length)
            last = answer.tasks
            return { ...answer, tasks: [...again, ...answer.tasks] }
          })
      }
    }
  },
  { name: "capacity forgotten", noticedAt: 2, settings: { capacity: 1_000_000 } },
  {
    name: "batch torn: each task is stored by itself",
    noticedAt: 47,
    store: but((store) => ({
      enqueue: (groups) =>
        Effect.forEach(
          groups,
          (group) =>
            Effect.map(store.enqueue(group.map((task) => [task])), (answers): EnqueueAnswer => {
              const refusal = answers.find(({ _tag }) => _tag !== "Accepted")
              return refusal ?? {
                _tag: "Accepted",
                tasks: answers.flatMap((answer) => answer._tag === "Accepted" ? answer.tasks : []),
                now: 0
              }
            })
        )
    }))
  },
  {
    name: "enqueue answered before it is stored, and one in eight lost",
    store: (store) => {
      let calls = 0
      return {
        ...store,
        enqueue: (groups) =>
          ++calls % 8 === 0
            ? Effect.succeed(groups.map((group): EnqueueAnswer => ({
              _tag: "Accepted",
              tasks: group.map(({ id }) => ({ id, duplicate: false })),
              now: 0
            })))
            : store.enqueue(groups)
      }
    }
  },
  {
    name: "pause forgotten",
    records: (store) => ({
      ...store,
      put: (changes, nonce) => changes[0]?.kind === PausedQueues.kind ? Effect.succeed(1) : store.put(changes, nonce)
    })
  },
  {
    name: "cancel of a waiting task answered, but not done",
    noticedAt: 1,
    store: but((store) => ({
      cancel: (ids) =>
        Effect.forEach(
          ids,
          (id) =>
            Effect.flatMap(store.get(idOf(id)), (task) =>
              task?.state === "pending" || task?.state === "scheduled"
                ? Effect.succeed("cancelled" as const)
                : Effect.map(store.cancel([id]), ([answer]) => answer!))
        )
    }))
  },
  {
    name: "cancel of a running task never told",
    noticedAt: 1,
    engine: but((store) => ({
      extend: (refs, leaseForMs) =>
        Effect.map(
          store.extend(refs, leaseForMs),
          (answers) => answers.map((answer) => answer === "cancel" ? "held" : answer)
        )
    })),
    notifier: (notifier) => ({
      ...notifier,
      listen: (listener) => notifier.listen((hint) => hint._tag !== "Cancel" && listener(hint))
    })
  },
  {
    name: "budget forgotten: what failed for good is tried again",
    engine: but((store) => ({
      settle: (settlements) =>
        store.settle(
          settlements.map((settlement) =>
            settlement._tag === "Fail" ? { ...settlement, _tag: "Retry", delayMs: 100 } : settlement
          )
        )
    }))
  },
  {
    name: "snooze spends a retry",
    engine: but((store) => ({
      settle: (settlements) =>
        store.settle(settlements.map((settlement) =>
          settlement._tag === "Snooze"
            ? { ...settlement, _tag: "Retry", failure: { kind: "error", tag: "Snoozed", message: "" } }
            : settlement
        ))
    }))
  },
  {
    name: "result forgotten",
    engine: but((store) => ({
      settle: (settlements) =>
        store.settle(
          settlements.map((settlement) =>
            settlement._tag === "Complete" ? { ...settlement, result: "null" } : settlement
          )
        )
    }))
  },
  {
    name: "an awaited result comes from another task",
    engine: (store) => {
      let before: string | null = null
      return {
        ...store,
        awaitResults: (ids) =>
          Effect.map(store.awaitResults(ids), (outcomes) =>
            outcomes.map((outcome) => {
              if (outcome === undefined || outcome === null || outcome.state !== "completed") return outcome
              const result = before ?? outcome.result
              before = outcome.result
              return { ...outcome, result }
            }))
      }
    }
  },
  {
    name: "pruned as soon as finished",
    store: but((store) => ({
      prune: (retention, limit) =>
        store.prune({ ...retention, forMs: { ...retention.forMs, completed: 0, cancelled: 0 } }, limit)
    }))
  },
  {
    name: "quarantine forgotten",
    noticedAt: 139,
    settings: { maxCrashes: -1 }
  },
  {
    name: "versions not compared: the last put wins",
    noticedAt: 2,
    records: (store) => ({
      ...store,
      put: (changes, nonce) => Effect.flatMap(unconditional(store, changes), (given) => store.put(given, nonce))
    })
  },
  {
    name: "put torn: each change is made by itself",
    noticedAt: 1,
    records: (store) => ({
      ...store,
      put: (changes, nonce) =>
        Effect.map(
          Effect.forEach(changes, (change, index) => store.put([change], nonce && `${nonce} ${index}`)),
          (versions) => versions.at(-1)!
        )
    })
  },
  {
    name: "put answered and not done, one in eight",
    noticedAt: 1,
    records: (store) => {
      let puts = 0
      return {
        ...store,
        put: (changes, nonce) => ++puts % 8 === 0 ? Effect.succeed(puts) : store.put(changes, nonce)
      }
    }
  },
  {
    name: "nonce of a put ignored",
    noticedAt: 87,
    records: (store) => ({ ...store, put: (changes) => store.put(changes) })
  },
  {
    name: "nonces of puts forgotten at once",
    noticedAt: 283,
    records: (store) => ({
      ...store,
      due: (kind, limit) =>
        kind !== "put" ? store.due(kind, limit) : Effect.map(
          store.list(kind, { limit }),
          ({ records }) => ({ records, now: 0, nextDueAt: 100 })
        )
    })
  },
  {
    name: "the rest is written together although the claim is lost",
    records: (store) => ({
      ...store,
      atomically: (nonce, parts) =>
        Effect.catchTag(
          store.atomically(nonce, parts),
          "LeaseLost",
          () => store.atomically(nonce, { ...parts, settlements: [] })
        )
    })
  },
  {
    name: "what is written together is written part by part",
    records: (store) => ({
      ...store,
      atomically: (nonce, { changes, settlements, tasks }) =>
        Effect.gen(function*() {
          const { version } = yield* store.atomically(`${nonce} records`, { changes })
          const stored = yield* store.atomically(`${nonce} tasks`, { tasks })
          yield* store.atomically(`${nonce} ends`, { settlements })
          return { ...stored, version }
        })
    })
  },
  {
    name: "nonce of what is written together ignored",
    noticedAt: 344,
    records: (store) => {
      let calls = 0
      return {
        ...store,
        atomically: (nonce, parts) => Effect.suspend(() => store.atomically(`${nonce} ${++calls}`, parts))
      }
    }
  },
  {
    name: "tasks are stored once more where what was written together is repeated",
    noticedAt: 488,
    records: (store) => {
      const seen = new Set<string>()
      return {
        ...store,
        atomically: (nonce, parts) =>
          Effect.tap(store.atomically(nonce, parts), () => {
            const isRepeated = seen.has(nonce)
            seen.add(nonce)
            const tasks = parts.tasks?.map((task) => ({ ...task, id: `${task.id} again` }))
            return isRepeated ? store.atomically(`${nonce} again`, { tasks }) : Effect.void
          })
      }
    }
  },
  {
    name: "what is written together is answered and not done, one in four",
    noticedAt: 1,
    records: (store) => {
      let calls = 0
      return {
        ...store,
        atomically: (nonce, parts) =>
          Effect.suspend(() =>
            ++calls % 4 === 0
              ? Effect.succeed({
                version: calls,
                now: 0,
                tasks: (parts.tasks ?? []).map(({ id }) => ({ id, duplicate: false }))
              })
              : store.atomically(nonce, parts)
          )
      }
    }
  },
  {
    name: "taken and due still: two may have a record",
    noticedAt: 1,
    records: (store) => ({ ...store, take: (kind, limit) => store.due(kind, limit) })
  },
  {
    name: "taken not fenced: who had a record before may put it",
    noticedAt: 180,
    records: (store) => {
      const taken = new Map<string, string>()
      return {
        ...store,
        take: (kind, limit, leaseForMs) =>
          Effect.map(store.take(kind, limit, leaseForMs), (due) => {
            for (const { document, id } of due.records) taken.set(`${kind} ${id}`, document)
            return due
          }),
        put: (changes, nonce) =>
          Effect.flatMap(
            Effect.forEach(changes, (change) =>
              Effect.map(store.get(change.kind, [change.id]), ([record]) =>
                record !== undefined && taken.get(`${change.kind} ${change.id}`) === record.document
                  ? { ...change, expects: record.version }
                  : change)),
            (given) =>
              store.put(given, nonce)
          )
      }
    }
  },
  {
    name: "due records never given",
    noticedAt: 1,
    records: (store) => ({
      ...store,
      take: (kind, limit) => Effect.map(store.due(kind, limit), (due) => ({ ...due, records: [] }))
    })
  },
  {
    name: "everybody leads",
    instances: (store) => ({
      ...store,
      lead: (chore, id, forMs) => Effect.as(store.lead(chore, id, forMs), true)
    })
  },
  ...gateMutants,
  ...scheduleMutants,
  ...flowMutants,
  ...keyMutants,
  ...dependencyMutants,
  ...batchMutants,
  ...executionMutants
]
