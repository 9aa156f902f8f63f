/** The instances of a store in memory: one process, which may hold several engines. */
import { type Clock, type Context, Effect } from "effect"
import * as MonotonicClock from "../../domain/MonotonicClock.ts"
import { type Beat, byAge, type InstanceRecord, type InstanceStore, type Roll } from "../InstanceStore.ts"

interface Entry extends Omit<InstanceRecord, "leads"> {
  readonly until: number
}

interface Lead {
  readonly holder: string
  readonly until: number
}

export const make = (clock: Clock.Clock): Context.Service.Shape<typeof InstanceStore> => {
  const instances = new Instances()
  const now = MonotonicClock.fromNow(clock)
  const at = <A>(operation: (now: number) => A): Effect.Effect<A> => Effect.sync(() => operation(now()))

  return {
    beat: (beat, keepForMs) => at((now) => instances.beat(beat, keepForMs, now)),
    leave: (id) => Effect.sync(() => instances.leave(id)),
    list: at((now) => instances.list(now)),
    lead: (chore, id, forMs) => at((now) => instances.lead(chore, id, forMs, now))
  }
}

class Instances {
  private readonly entries = new Map<string, Entry>()
  private readonly leads = new Map<string, Lead>()

  beat({ upForMs, ...beat }: Beat, keepForMs: number, now: number): void {
    this.forget(now)
    const startedAt = this.entries.get(beat.id)?.startedAt ?? now - upForMs
    this.entries.set(beat.id, { ...beat, startedAt, seenAt: now, until: now + keepForMs })
  }

  leave(id: string): void {
    this.entries.delete(id)
    for (const [chore, { holder }] of this.leads) if (holder === id) this.leads.delete(chore)
  }

  list(now: number): Roll {
    this.forget(now)
    const instances = [...this.entries.values()]
      .map(({ until: _until, ...entry }) => ({ ...entry, leads: this.leadsOf(entry.id, now) }))
      .sort(byAge)
    return { instances, now }
  }

  lead(chore: string, id: string, forMs: number, now: number): boolean {
    const lead = this.leads.get(chore)
    if (lead !== undefined && lead.holder !== id && lead.until > now) return false
    this.leads.set(chore, { holder: id, until: now + forMs })
    return true
  }

  private leadsOf(id: string, now: number): ReadonlyArray<string> {
    return [...this.leads].filter(([, { holder, until }]) => holder === id && until > now).map(([chore]) => chore)
      .sort()
  }

  private forget(now: number): void {
    for (const [id, { until }] of this.entries) if (until <= now) this.entries.delete(id)
  }
}
