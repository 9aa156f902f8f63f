/** Times, durations and numbers as people read them. */
import { Duration } from "effect"
import * as DurationText from "../domain/DurationText.ts"

const units = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000]] as const

/** A duration by its largest unit, cut rather than rounded: `3m`, `2d`. */
export const age = (millis: number): string => {
  for (const [name, size] of units) if (millis >= size) return `${Math.floor(millis / size)}${name}`
  return "0s"
}

/** A duration with what matters of it: `12ms`, `3.2s`, `4m10s`. */
export const precise = (millis: number): string =>
  millis < 1000
    ? `${Math.round(millis)}ms`
    : millis < 60_000
    ? `${(millis / 1000).toFixed(1)}s`
    : DurationText.format(Duration.seconds(Math.round(millis / 1000)))

/** How long something still takes, rounded up to minutes or, in the last one, to seconds: `2h`, `1h59m`, `30s`. */
export const left = (millis: number): string => {
  const unit = millis > 60_000 ? 60_000 : 1000
  return DurationText.format(Duration.millis(Math.max(1, Math.ceil(millis / unit)) * unit))
}

/** An instant as seen from now: `3m ago`, `in 2h`, `now`. */
export const relative = (millis: number, now: number): string => {
  const distance = millis - now
  if (Math.abs(distance) < 1000) return "now"
  return distance < 0 ? `${age(-distance)} ago` : `in ${age(distance)}`
}

/** A number with separators between thousands. */
export const count = (number: number): string => number.toLocaleString("en")

/** `1 task`, `2 tasks`. */
export const counted = (number: number, one: string, many = `${one}s`): string =>
  `${count(number)} ${number === 1 ? one : many}`
