/** What must hold between the keys of lines with gates, looked up key by key. */
import { Effect } from "effect"
import type { Redis, RedisError } from "effect/persistence/Redis"

interface Place {
  readonly seq: string
  readonly rank: number
  readonly where: string
}

/** The lane of the name of a line or a group. */
const laneOf = (name: string): string => {
  const text = name.startsWith("g") ? name.slice(name.indexOf(";") + 1) : name
  for (let end = text.indexOf("\"]"); end >= 0; end = text.indexOf("\"]", end + 1)) {
    try {
      const parsed: unknown = JSON.parse(text.slice(0, end + 2))
      if (Array.isArray(parsed) && parsed.length === 2) return text.slice(0, end + 2)
      if (Array.isArray(parsed)) return JSON.stringify(parsed.slice(0, 2))
    } catch {
      // it goes on
    }
  }
  throw new Error(`no lane: ${name}`)
}

const assertSame = (
  wrong: Array<string>,
  what: string,
  some: ReadonlyArray<string>,
  others: ReadonlyArray<string>
): void => {
  for (const name of some) if (!others.includes(name)) wrong.push(`${what}: ${name} is missing`)
  for (const name of others) if (!some.includes(name)) wrong.push(`${what}: ${name} is too much`)
}

/** What does not hold, in words. */
export const inconsistencies = (
  redis: Redis["Service"],
  root: string
): Effect.Effect<ReadonlyArray<string>, RedisError> =>
  Effect.gen(function*() {
    const wrong: Array<string> = []
    const send = <A>(...command: [string, ...Array<string>]) => redis.send<A>(...command)
    const keys = (yield* send<Array<string>>("KEYS", `${root}:*`)).map((key) => key.slice(root.length + 1))
    const hash = Effect.fnUntraced(function*(name: string) {
      const found = yield* send<Record<string, string>>("HGETALL", `${root}:${name}`)
      return new Map(Object.entries(found))
    })
    const scored = Effect.fnUntraced(function*(name: string) {
      const found = yield* send<Array<string | { value: string; score: number }>>(
        "ZRANGE",
        `${root}:${name}`,
        "0",
        "-1",
        "WITHSCORES"
      )
      const rows: Array<readonly [string, number]> = []
      if (Array.isArray(found[0])) {
        for (const [member, score] of found as unknown as Array<[string, string]>) rows.push([member, Number(score)])
      } else {
        for (let at = 0; at < found.length; at += 2) rows.push([String(found[at]), Number(found[at + 1])])
      }
      return rows
    })
    const places = new Map(
      [...yield* hash("place")].map(([name, text]): [string, Place] => {
        const [, seq, rank, where] = /^(\d{12})([^;]*);(.*)$/s.exec(text)!
        return [name, { seq: seq!, rank: Number(rank), where: where! }]
      })
    )
    const head = yield* hash("head")
    const groups = new Set((yield* scored("groups")).map(([member]) => /\0(g[^;]*;\[.*)$/s.exec(member)![1]!))
    const types = new Set(yield* send<Array<string>>("SMEMBERS", `${root}:types`))

    // lines with tasks are where their place says
    const lines = keys.flatMap((key) => /^lane:(\[.*\])$/s.exec(key)?.[1] ?? []).filter((line) =>
      (JSON.parse(line) as Array<string>).length === 3 && !line.endsWith(",2]")
    )
    for (const line of lines) {
      if (!places.has(line)) wrong.push(`no place: ${line}`)
      const [[, rank]] = (yield* scored(`lane:${line}`)) as [[string, number]]
      if (places.get(line)!.rank > rank && !(yield* send("HEXISTS", `${root}:turn`, line))) {
        wrong.push(`a place after the head: ${line}`)
      }
    }
    for (const line of places.keys()) if (!line.startsWith("g") && !lines.includes(line)) wrong.push(`empty: ${line}`)

    const members = new Map<string, Array<readonly [string, number]>>()
    for (const key of keys.filter((key) => /^(open|shut|parked):/.test(key))) members.set(key, [...yield* scored(key)])
    let count = 0
    for (const [key, rows] of members) {
      for (const [member, rank] of rows) {
        count++
        const name = member.slice(12)
        const place = places.get(name)
        const its = place === undefined ? "nowhere" : place.where === "" ? `open:${laneOf(name)}` : place.where === "-"
          ? `shut:${laneOf(name)}`
          : `parked:${place.where}`
        if (its !== key || place!.seq !== member.slice(0, 12) || place!.rank !== rank) {
          wrong.push(`${member} is in ${key} at ${rank}, not ${JSON.stringify(place)}`)
        }
      }
      if (!key.startsWith("parked:")) continue
      const group = key.slice("parked:".length)
      const place = places.get(group)
      if (place === undefined || !groups.has(group)) wrong.push(`no group: ${group}`)
      else if (place.rank > rows[0]![1]) wrong.push(`a group after its first: ${group}`)
    }
    if (count !== places.size) wrong.push(`${places.size} places, ${count} members`)
    for (const group of groups) if (!places.has(group)) wrong.push(`a group without a place: ${group}`)

    const lanes = new Set([...places.keys()].map(laneOf))
    for (const lane of lanes) {
      const [queue, type] = JSON.parse(lane) as [string, string]
      const alias = `[${JSON.stringify(queue)},${JSON.stringify(type)},1]`
      const open = members.get(`open:${lane}`)
      if ((open !== undefined) !== head.has(alias)) wrong.push(`filed: ${head.has(alias)}, open: ${open !== undefined}`)
      if (open !== undefined && Number(head.get(alias)!.slice(12)) > open[0]![1]) wrong.push(`filed too late: ${lane}`)
      if ((yield* send("SISMEMBER", `${root}:gates:${JSON.stringify(type)}`, lane)) !== 1) {
        wrong.push(`unknown: ${lane}`)
      }
      if (!types.has(JSON.stringify(type))) wrong.push(`unknown type: ${type}`)
    }
    for (const name of head.keys()) {
      if (name.endsWith(",1]") && !lanes.has(`${name.slice(0, -3)}]`)) wrong.push(`filed without lines: ${name}`)
    }

    // tasks that wait together are a lane of their own
    const shared = keys.flatMap((key) => /^lane:(\[.*,2\])$/s.exec(key)?.[1] ?? [])
    const known = yield* hash("shared")
    assertSame(wrong, "wait together", shared, [...known.keys()])
    assertSame(wrong, "filed", shared, [...head.keys()].filter((name) => name.endsWith(",2]")))
    for (const name of shared) {
      const [[, rank]] = (yield* scored(`lane:${name}`)) as [[string, number]]
      if (Number(head.get(name)?.slice(12)) > rank) wrong.push(`filed too late: ${name}`)
      const type = (JSON.parse(name) as [string, string])[1].slice(1)
      if (!types.has(JSON.stringify(type))) wrong.push(`unknown type: ${type}`)
    }
    for (const name of yield* send<Array<string>>("SMEMBERS", `${root}:spread`)) {
      if (!known.has(name)) wrong.push(`to be given to lines, but empty: ${name}`)
    }
    for (const [group] of yield* scored("until")) {
      if (places.get(group)?.where !== "-") wrong.push(`waits for a time, but is open: ${group}`)
    }
    return wrong
  })
