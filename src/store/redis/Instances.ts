/** The instances that share a deployment. What they say of themselves is kept as one JSON text: no query looks inside. */
import { type Context, Effect } from "effect"
import type { InstanceRecord, InstanceStore, Roll } from "../InstanceStore.ts"
import { type Runner, script } from "./Runner.ts"
import * as Scripts from "./scripts/Instances.ts"

type Texts = ReadonlyArray<string>
type Answer = readonly [now: number, instances: Texts, leads: Texts]

const runBeat = script<number>(Scripts.beat)
const runLeave = script<number>(Scripts.leave)
const runList = script<Answer>(Scripts.instances)
const runLead = script<number>(Scripts.lead)

/** The operations of one deployment. */
export const make = (runner: Runner): Context.Service.Shape<typeof InstanceStore> => ({
  beat: ({ id, upForMs, ...about }, keepForMs) =>
    Effect.asVoid(
      runner("beat", runBeat, [id, String(upForMs), String(keepForMs), JSON.stringify(about)])
    ),
  leave: (id) => Effect.asVoid(runner("leave", runLeave, [id])),
  list: Effect.map(Effect.suspend(() => runner("list the instances", runList, [])), rollOf),
  lead: (chore, id, forMs) => Effect.map(runner("lead", runLead, [chore, id, String(forMs)]), (held) => held === 1)
})

const rollOf = ([now, instances, leads]: Answer): Roll => {
  const held = pairsOf(leads)
  return {
    now,
    instances: pairsOf(instances)
      .map(([id, text]) => recordOf(id, text, held))
      .sort((a, b) => a.startedAt - b.startedAt || (a.id < b.id ? -1 : 1))
  }
}

const recordOf = (id: string, text: string, leads: ReadonlyArray<readonly [chore: string, holder: string]>) => {
  const [startedAt, seenAt] = text.split(";", 2)
  const about = JSON.parse(text.slice(`${startedAt};${seenAt};`.length)) as Omit<
    InstanceRecord,
    "id" | "startedAt" | "seenAt" | "leads"
  >
  return {
    ...about,
    id,
    startedAt: Number(startedAt),
    seenAt: Number(seenAt),
    leads: leads.filter(([, holder]) => holder === id).map(([chore]) => chore).sort()
  }
}

const pairsOf = (texts: Texts): ReadonlyArray<readonly [string, string]> =>
  Array.from({ length: texts.length / 2 }, (_, index) => [texts[index * 2]!, texts[index * 2 + 1]!] as const)
