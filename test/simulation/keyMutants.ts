/** Engines that break what is promised of unique tasks and of tasks that are changed while they wait. */
import { Effect } from "effect"
import { isFinished } from "../../src/domain/TaskState.ts"
import type { Unique } from "../../src/domain/Uniqueness.ts"
import { Draft, type Known } from "../../src/store/Draft.ts"
import type { RescheduleAnswer } from "../../src/store/Reschedule.ts"
import type { Accepted, EnqueueAnswer, TaskStore } from "../../src/store/TaskStore.ts"
import type { Mutant } from "./Mutant.ts"

type Store = TaskStore["Service"]

/** A store that does one thing in another way. */
const but = (change: (store: Store) => Partial<Store>) => (store: Store): Store => ({ ...store, ...change(store) })

/** Says something else of how tasks are unique. */
const uniqueAs = (change: (unique: Unique) => Unique | null) =>
  but((store) => ({
    enqueue: (groups) =>
      store.enqueue(groups.map((group) =>
        group.map((task) => ({
          ...task,
          unique: task.unique === null || task.unique === undefined ? task.unique : change(task.unique)
        }))
      ))
  }))

/** Answers something else about the tasks that were accepted. */
const answered = (
  answers: ReadonlyArray<EnqueueAnswer>,
  as: (accepted: Accepted, group: number, task: number) => Accepted
) =>
  answers.map((answer, group) =>
    answer._tag === "Accepted"
      ? { ...answer, tasks: answer.tasks.map((accepted, task) => as(accepted, group, task)) }
      : answer
  )

/** Shows another task to those who decide whether it holds its key. */
const seenAs = (change: (task: NonNullable<ReturnType<Known["find"]>>) => Partial<typeof task>) => (): () => void => {
  const draft = Draft.prototype as unknown as { known: Known; meetStored: (...given: Array<unknown>) => unknown }
  const original = draft.meetStored
  draft.meetStored = function(this: typeof draft, ...given) {
    const { known } = this
    const find = (id: string) => {
      const task = known.find(id)
      return task === undefined ? undefined : { ...task, ...change(task) }
    }
    this.known = Object.create(known, { find: { value: find } }) as Known
    try {
      return original.apply(this, given)
    } finally {
      this.known = known
    }
  }
  return () => {
    draft.meetStored = original
  }
}

/** Does something else about a task that is to be changed and has started. */
const withRunning = (answer: RescheduleAnswer) => (store: Store): Store => {
  const payloads = new Map<string, string>()
  return {
    ...store,
    reschedule: (requests) =>
      Effect.map(store.reschedule(requests), (answers) =>
        answers.map((given, index) => {
          const { id, payload } = requests[index]!
          if (given._tag !== "conflict" || given.state !== "running") return given
          if (payload !== undefined) payloads.set(id, payload)
          return answer._tag === "conflict" ? given : answer
        })),
    claim: (request) =>
      Effect.map(store.claim(request), (answer) => ({
        ...answer,
        tasks: answer.tasks.map((task) => ({ ...task, payload: payloads.get(task.id) ?? task.payload }))
      }))
  }
}

export const keyMutants: ReadonlyArray<Mutant> = [
  {
    name: "windows forget what runs: an unfinished task lets others in once it has started",
    noticedAt: 80,
    store: uniqueAs((unique) => ({ ...unique, window: unique.window === "unfinished" ? "waiting" : unique.window }))
  },
  {
    name: "windows outlast the start: a waiting task keeps others away until it has ended",
    noticedAt: 9,
    store: uniqueAs((unique) => ({ ...unique, window: unique.window === "waiting" ? "unfinished" : unique.window }))
  },
  {
    name: "windows of time counted from the end of the task",
    noticedAt: 4,
    patch: seenAs(({ completedAt, createdAt, state }) => ({
      createdAt: isFinished(state) ? completedAt ?? createdAt : createdAt
    }))
  },
  {
    name: "what has expired holds its key until somebody notices",
    noticedAt: 9,
    patch: seenAs(() => ({ expiresAt: null }))
  },
  {
    name: "replace keeps the old payload",
    noticedAt: 9,
    store: but((store) => ({
      enqueue: (groups) => {
        const isReplacing = (group: number, task: number) => groups[group]![task]!.unique?.onConflict === "replace"
        return Effect.map(
          store.enqueue(groups.map((group, place) =>
            group.map((task, index) => ({
              ...task,
              unique: isReplacing(place, index) ? { ...task.unique!, onConflict: "return" } : task.unique
            }))
          )),
          (answers) =>
            answered(
              answers,
              (accepted, group, task) =>
                accepted.duplicate && isReplacing(group, task) && accepted.id !== groups[group]![task]!.id
                  ? { ...accepted, merge: "replaced" }
                  : accepted
            )
        )
      }
    }))
  },
  {
    name: "postponed without end: the maximum delay is forgotten",
    noticedAt: 164,
    store: uniqueAs((unique) => ({ ...unique, maxMs: null }))
  },
  {
    name: "not postponed: the payload is taken, and the time stays",
    noticedAt: 8,
    store: but((store) => ({
      enqueue: (groups) =>
        Effect.map(
          store.enqueue(groups.map((group) =>
            group.map((task) => ({
              ...task,
              unique: task.unique?.onConflict === "postpone" ? { ...task.unique, onConflict: "replace" } : task.unique
            }))
          )),
          (answers) =>
            answered(answers, (accepted, group, task) =>
              accepted.merge === "replaced" && groups[group]![task]!.unique?.onConflict === "postpone"
                ? { ...accepted, merge: "postponed" }
                : accepted)
        )
    }))
  },
  {
    name: "refusals forgotten: the one that has the key is the answer",
    noticedAt: 18,
    store: uniqueAs((unique) => ({
      ...unique,
      onConflict: unique.onConflict === "refuse" ? "return" : unique.onConflict
    }))
  },
  {
    name: "merges forgotten: one that is repeated is merged again, over later ones",
    noticedAt: 10,
    patch: seenAs(({ hold }) => ({
      hold: hold?.startsWith("[") === true ? JSON.stringify([(JSON.parse(hold) as Array<unknown>)[0]]) : hold
    }))
  },
  {
    name: "a task that is changed and has started runs its retries with the new payload",
    noticedAt: 316,
    store: withRunning({ _tag: "conflict", state: "running" })
  },
  {
    name: "a task that has started is said to be changed",
    noticedAt: 9,
    store: withRunning({ _tag: "rescheduled" })
  },
  {
    name: "a new time of a waiting task forgotten",
    noticedAt: 49,
    store: but((store) => ({
      reschedule: (requests) => store.reschedule(requests.map(({ delayMs: _delay, runAt: _at, ...request }) => request))
    }))
  },
  {
    name: "a new priority of a waiting task forgotten",
    noticedAt: 75,
    store: but((store) => ({
      reschedule: (requests) => store.reschedule(requests.map(({ priority: _, ...request }) => request))
    }))
  }
]
