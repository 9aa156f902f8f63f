/**
 * Schedules that a program declares: when an instance of it starts, they are made, changed where the program declares something else
 * than before, and removed where it declares them no more. What was set by hand, and what other programs declare, is left alone.
 */
import { Effect } from "effect"
import * as Bounds from "../domain/Bounds.ts"
import { InvalidOption, InvalidPayload, InvalidTimetable, type StoreError } from "../domain/Errors.ts"
import * as Quoting from "../domain/Quoting.ts"
import { Supervisor } from "../observability/Supervisor.ts"
import { all, type Change, RecordStore } from "../store/RecordStore.ts"
import { checkName, checksumOf, type Defaults, type Plan, planOf } from "./Plan.ts"
import type { Scheduled } from "./Scheduled.ts"
import * as ScheduleRecords from "./ScheduleRecords.ts"
import { kind, read } from "./StoredSchedule.ts"

/** What a program declares. */
export interface Declared {
  /** Whose schedules these are: one name for all instances and versions of a program, and for no other program of the store. */
  readonly program: string
  /** The schedules by name. What this program declared before and is not among them is removed. */
  readonly schedules: Readonly<Record<string, Scheduled>>
}

/** What was done. */
export interface Reconciled {
  readonly set: ReadonlyArray<string>
  readonly removed: ReadonlyArray<string>
  /** Names that another program declares: they are left to it. */
  readonly foreign: ReadonlyArray<string>
}

/** Changes of one write: a document may have 256 KiB, and a put 8 MiB. */
const chunk = 30

/** Checks all schedules of a declaration. */
export const plansOf = Effect.fnUntraced(function*(
  { program, schedules }: Declared,
  defaults: Defaults
): Effect.fn.Return<ReadonlyMap<string, Plan>, InvalidOption | InvalidPayload | InvalidTimetable> {
  // Without one, what people have set would seem to be declared no more
  yield* Bounds.check("schedules.program", Bounds.name, program ?? (null as never))
  yield* Bounds.check("schedules.schedules", byName, schedules ?? (null as never))
  const plans = new Map<string, Plan>()
  for (const [name, scheduled] of Object.entries(schedules)) {
    const planned = Effect.andThen(checkName(name), planOf(scheduled, defaults))
    plans.set(name, yield* Effect.mapError(planned, inDeclaration(name)))
  }
  return plans
})

const byName: Bounds.Bound<Declared["schedules"]> = {
  expected: "an object with schedules by their names",
  accepts: (schedules) => typeof schedules === "object" && schedules !== null && !Array.isArray(schedules)
}

/** The same with the place in a declaration, which may have a hundred schedules. */
const inDeclaration = (name: string) => (error: InvalidOption | InvalidPayload | InvalidTimetable) => {
  const place = `schedules.${Quoting.shortened(name, 80)}`
  switch (error._tag) {
    case "InvalidOption":
      return new InvalidOption({ ...error, option: `${place}.${error.option}` })
    case "InvalidTimetable":
      return new InvalidTimetable({ ...error, at: `${place}, ${error.at}` })
    case "InvalidPayload":
      return new InvalidPayload({ ...error, issue: `${error.issue}\n  at ${place}` })
  }
}

/** Makes what is stored what a program declares. */
export const reconcile = Effect.fnUntraced(function*(
  program: string,
  plans: ReadonlyMap<string, Plan>
): Effect.fn.Return<Reconciled, StoreError, RecordStore> {
  const known = new Map((yield* all(kind)).map((record) => [record.id, record]))
  const now = yield* ScheduleRecords.now
  const done = { set: [] as Array<string>, removed: [] as Array<string>, foreign: [] as Array<string> }
  const changes: Array<Change> = []
  for (const [name, plan] of plans) {
    const record = known.get(name)
    const before = record && read(record)
    if (before?.owner.program !== undefined && before.owner.program !== program) {
      done.foreign.push(name)
      continue
    }
    const declared = checksumOf(plan)
    if (before?.owner.declared === declared) continue
    const { change } = ScheduleRecords.setting(name, plan, () => ({ program, declared }), record, now)
    changes.push(change)
    done.set.push(name)
  }
  for (const [name, record] of known) {
    if (plans.has(name) || read(record)?.owner.program !== program) continue
    changes.push({ kind, id: name, expects: record.version, document: null })
    done.removed.push(name)
  }
  let conflict = false
  for (let start = 0; start < changes.length; start += chunk) {
    conflict = !(yield* put(changes.slice(start, start + chunk))) || conflict
  }
  // Another instance of it was faster, or a tick: what is still to be done is found again
  return conflict ? yield* reconcile(program, plans) : done
})

const put = (changes: ReadonlyArray<Change>): Effect.Effect<boolean, StoreError, RecordStore> =>
  RecordStore.use((store) => store.put(changes)).pipe(
    Effect.as(true),
    Effect.catchTags({ RecordConflict: () => Effect.succeed(false), InvalidOption: Effect.die })
  )

/** Does so once the store answers. */
export const run = Effect.fnUntraced(function*(declared: Declared, defaults: Defaults) {
  const plans = yield* plansOf(declared, defaults)
  const supervisor = yield* Supervisor
  const { program } = declared
  yield* supervisor.rounds(
    "declared schedules",
    Effect.gen(function*() {
      const { foreign, removed, set } = yield* reconcile(program, plans)
      if (set.length + removed.length > 0) {
        yield* Effect.logInfo(
          `the schedules of ${program} are as declared: ${set.length} set, ${removed.length} removed`
        )
      }
      for (const name of foreign) {
        yield* supervisor.warn({
          part: `schedule ${name}`,
          reason: `The schedule ${name} is declared by another program than ${program}`,
          advice: "give one of the two another name"
        })
      }
      return Infinity
    })
  )
})
