/**
 * Stands outside the engine and writes down what happens: at the store, in the order in which it applies operations,
 * and at each process, when an answer has reached it.
 */
import { Effect } from "effect"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import type { Machine, World } from "../../src/testing/Simulation.ts"
import { describe, type Event, type Operation } from "./History.ts"

type Store = TaskStore["Service"]

/** The witness of one run. */
export class Witness {
  readonly events: Array<Event> = []
  private readonly world: World
  private readonly server: Machine
  private readonly listeners: Array<(event: Event) => void> = []

  constructor(world: World, server: Machine) {
    this.world = world
    this.server = server
  }

  /** Calls a listener with each event, before anything else happens. */
  onEvent(listener: (event: Event) => void): void {
    this.listeners.push(listener)
  }

  /** Writes an event down. */
  saw(event: Event): void {
    this.events.push(event)
    for (const listener of this.listeners) listener(event)
    if (isWorthALine(event)) this.world.log(describe(event))
  }

  /** The store, seen from its own side: `finished` are the tasks that pruning may have taken. */
  atTheStore(store: Store, from: string, finished: () => ReadonlyArray<string>): Store {
    const stored = (operation: Operation): void =>
      this.saw({ _tag: "Stored", at: this.world.now, now: this.server.wallMs, from, ...operation })
    const watch = <A, E>(effect: Effect.Effect<A, E>, operation: (answer: A) => Operation): Effect.Effect<A, E> =>
      Effect.map(effect, (answer) => {
        stored(operation(answer))
        return answer
      })
    return {
      ...store,
      enqueue: (groups) => watch(store.enqueue(groups), (answers) => ({ op: "enqueue", groups, answers })),
      claim: (request) => watch(store.claim(request), (answer) => ({ op: "claim", request, answer })),
      extend: (leases, leaseForMs) =>
        watch(store.extend(leases, leaseForMs), (answers) => ({ op: "extend", leases, leaseForMs, answers })),
      settle: (settlements) => watch(store.settle(settlements), (answers) => ({ op: "settle", settlements, answers })),
      note: (notes) => watch(store.note(notes), () => ({ op: "note", notes })),
      rescue: (limit) => watch(store.rescue(limit), (rescued) => ({ op: "rescue", limit, rescued })),
      cancel: (ids) => watch(store.cancel(ids), (answers) => ({ op: "cancel", ids, answers })),
      retry: (ids) => watch(store.retry(ids), (answers) => ({ op: "retry", ids, answers })),
      remove: (ids) => watch(store.remove(ids), (answers) => ({ op: "remove", ids, answers })),
      pause: (queue, paused) => watch(store.pause(queue, paused), () => ({ op: "pause", queue, paused })),
      prune: (retention, limit) =>
        Effect.flatMap(store.prune(retention, limit), (count) => {
          if (count === 0) return Effect.succeed(count)
          const ids = finished()
          return Effect.map(store.results(ids), (results) => {
            stored({ op: "prune", retention, gone: ids.filter((_, index) => results[index] === null) })
            return count
          })
        })
    }
  }

  /** The store, seen from a process: what its engine comes to know. */
  atTheProcess(store: Store, process: string): Store {
    const told = (news: "claimed" | "lost" | "cancel", leases: ReadonlyArray<{ id: string; claim: number }>): void => {
      if (leases.length > 0) {
        this.saw({
          _tag: "Told",
          at: this.world.now,
          process,
          news,
          leases: leases.map(({ claim, id }) => ({ id, claim }))
        })
      }
    }
    return {
      ...store,
      claim: (request) =>
        Effect.suspend(() => {
          this.saw({ _tag: "Asked", at: this.world.now, process, limit: request.limit })
          return Effect.map(store.claim(request), (answer) => {
            told("claimed", answer.tasks)
            return answer
          })
        }),
      extend: (leases, leaseForMs) =>
        Effect.map(store.extend(leases, leaseForMs), (answers) => {
          told("lost", leases.filter((_, index) => answers[index] === "lost"))
          told("cancel", leases.filter((_, index) => answers[index] === "cancel"))
          return answers
        })
    }
  }
}

/** Idle polling would fill the trace. */
const isWorthALine = (event: Event): boolean =>
  event._tag === "Stored"
    ? (event.op === "claim"
      ? event.answer.tasks.length > 0
      : event.op === "rescue"
      ? event.rescued.length > 0
      : true)
    : event._tag !== "Asked"
