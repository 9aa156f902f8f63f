/** What backups need of a store in memory. */
import { Effect } from "effect"
import { type Archive, decideAdopt } from "../Archive.ts"
import type { Kinds } from "./Records.ts"
import type { AtOnce, Tasks } from "./Task.ts"

/** The operations. */
export const make = (tasks: Tasks, kinds: Kinds, at: AtOnce): Archive => ({
  kinds: Effect.sync(() => kinds.names()),
  adopt: (formers) =>
    at((now) => {
      for (const former of formers) {
        const entry = tasks.log.get(former.id)
        if (entry === undefined) continue
        const { claim, claims, createdAt, instance, progress, startedAt } = former
        Object.assign(entry, { claim, claims, createdAt, instance, progress, startedAt })
        tasks.apply(entry, decideAdopt(entry, former, now))
        const { seq } = tasks.log.get(former.id)!
        for (const pass of former.holds) tasks.passes.hold(pass, { id: former.id, seq })
        // each in a moment of its own, so that the next one finds what its end has told
        if (tasks.dependencies.hasMore) tasks.dependencies.tell(now)
      }
    }),
  claimBeyond: (claim) => at(() => tasks.claimBeyond(claim)),
  date: (kind, records) => at(() => kinds.date(kind, records))
})
