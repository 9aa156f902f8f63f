/** Numbers, times and durations as people read them. */
import { timeZone } from "./Session.ts"

const number = new Intl.NumberFormat("en")
const rounded = new Intl.NumberFormat("en", { maximumFractionDigits: 1 })
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 })

/** `12,345`. */
export const count = (value: number): string => number.format(value)

/** `12.3K`, where there is little room. */
export const compact = (value: number): string => value < 10_000 ? number.format(value) : short.format(value)

/** One of several: `1 task`, `2 tasks`. */
export const counted = (value: number, one: string, several: string = `${one}s`): string =>
  `${count(value)} ${value === 1 ? one : several}`

/** How long a task can be put off at most, in milliseconds. What waits without an end is put off by as much. */
const maxDelayMs = 3650 * 86_400_000

/** What a scheduled task waits for, where that is no time. */
export const waitsFor = (
  { created_at: createdAt, due_at: dueAt, waits_for: tasks }: {
    readonly created_at: string
    readonly due_at: string
    readonly waits_for?: number | undefined
  }
): string | undefined =>
  tasks !== undefined
    ? `waits for ${counted(tasks, "task")}`
    : Date.parse(dueAt) - Date.parse(createdAt) >= maxDelayMs
    ? "waits, however long that takes"
    : undefined

const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000]
] as const

/** A duration: `350 ms`, `4.2 s`, `3 min 20 s`, `2 d 4 h`. */
export const duration = (ms: number): string => {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 10_000) return `${rounded.format(ms / 1000)} s`
  const first = units.findIndex(([, size]) => ms >= size)
  const [unit, size] = units[first]!
  const whole = Math.floor(ms / size)
  const next = units[first + 1]
  if (next === undefined) return `${whole} ${unit}`
  const rest = Math.floor((ms - whole * size) / next[1])
  return rest === 0 ? `${whole} ${unit}` : `${whole} ${unit} ${rest} ${next[0]}`
}

/** How far a time is from now, in one unit: `now`, `4 s ago`, `in 3 min`. */
export const distance = (at: number, now: number): string => {
  const ms = Math.abs(now - at)
  const [unit, size] = units.find(([, size]) => ms >= size) ?? ["s", 1000]
  const whole = Math.floor(ms / size)
  if (whole === 0) return "now"
  return at < now ? `${whole} ${unit} ago` : `in ${whole} ${unit}`
}

const formats = new Map<string, Intl.DateTimeFormat>()

const format = (zone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat => {
  const name = `${zone} ${JSON.stringify(options)}`
  let found = formats.get(name)
  if (found === undefined) {
    // Sweden writes times as the ISO does
    formats.set(name, found = new Intl.DateTimeFormat("sv-SE", { ...options, timeZone: zone }))
  }
  return found
}

/** Date and time in the server's zone: `2026-01-31 12:00:00`. */
export const instant = (at: number | string): string =>
  format(timeZone.value, { dateStyle: "short", timeStyle: "medium" }).format(new Date(at))

/** Time of day in the server's zone: `12:00:00`. */
export const clock = (at: number | string): string =>
  format(timeZone.value, { timeStyle: "medium" }).format(new Date(at))

/** Time of day with milliseconds: `12:00:00.123`. */
export const exactClock = (at: string): string =>
  `${clock(at)}.${String(new Date(at).getUTCMilliseconds()).padStart(3, "0")}`

const names: Readonly<Record<number, string>> = { 0: "low", 1: "normal", 2: "high", 3: "urgent" }

/** A priority by its name, or its number where it has none. */
export const priority = (value: number): string => names[value] ?? String(value)

/** The server's zone, in short. */
export const zoneName = (): string => timeZone.value

/** `1.2`, with one digit at most. */
export const decimal = (value: number): string => rounded.format(value)
