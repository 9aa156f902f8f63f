/**
 * Names of IANA zones, and their clocks.
 *
 * `Intl` also takes offsets such as `+02:00`, and names that are no zones of IANA's: `BST` is Bangladesh there, `IST` India and `PST` Los
 * Angeles, with its summer time. A schedule with such a name would rarely tick when its author meant.
 */
import { Result } from "effect"
import * as Bounds from "./Bounds.ts"
import { InvalidTimetable } from "./Errors.ts"
import * as Quoting from "./Quoting.ts"
import * as WallClock from "./WallClock.ts"

/** What `Intl` takes that has three letters and no zone of IANA's: names that Java once had. */
const shortNames = new Set(
  ("ACT AET AGT ART AST BET BST CAT CNT CST CTT EAT ECT IET IST JST MIT NET NST PLT PNT PRT PST SST VST").split(" ")
)

const form = /^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+){0,2}$/

/** The clock of a zone. */
export const clockOf = (zone: string): Result.Result<WallClock.WallClock, InvalidTimetable> => {
  if (typeof zone !== "string" || zone.length > 64) return refuse(zone)
  if (!form.test(zone) || shortNames.has(zone.toUpperCase()) || /^SystemV\//i.test(zone)) return refuse(zone)
  const exact = named().get(zone.toLowerCase())
  if (exact !== undefined && exact !== zone) return refuse(zone)
  try {
    return Result.succeed(WallClock.of(zone))
  } catch {
    return refuse(zone)
  }
}

let names: ReadonlyMap<string, string> | undefined

/** The names that `Intl` lists, by the same in small letters. There are others, such as `Asia/Kolkata`. */
const named = (): ReadonlyMap<string, string> =>
  names ??= new Map(Intl.supportedValuesOf("timeZone").map((name) => [name.toLowerCase(), name]))

const refuse = (zone: string): Result.Result<never, InvalidTimetable> => {
  const meant = typeof zone === "string" ? meantBy(zone) : undefined
  return Result.fail(
    new InvalidTimetable({
      at: "timeZone",
      found: Bounds.foundOf(zone),
      expected: meant === undefined
        ? "the name of an IANA zone, such as UTC or Europe/Berlin"
        : `the name of an IANA zone; perhaps ${meant}`
    })
  )
}

/** A zone with the same letters, of the same city, or one that is few edits away. */
const meantBy = (zone: string): string | undefined => {
  const wanted = zone.slice(0, 64).toLowerCase().replaceAll(/\s+/g, "_")
  const exact = named().get(wanted)
  if (exact !== undefined) return exact
  const all = [...named()]
  const ofCity = all.find(([lower]) => lower.endsWith(`/${wanted}`))
  if (ofCity !== undefined) return ofCity[1]
  const close = Quoting.nearest(wanted, all.map(([lower]) => lower))
  return close === undefined ? undefined : named().get(close)
}
