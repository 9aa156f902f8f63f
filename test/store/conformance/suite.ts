/**
 * The claims that every storage driver has to keep, area by area. A driver's test file names itself and calls this.
 */
import { describe } from "@effect/vitest"
import { bytes } from "./bytes.ts"
import { cancelling } from "./cancelling.ts"
import { capacity } from "./capacity.ts"
import { claiming } from "./claiming.ts"
import { concurrency } from "./concurrency.ts"
import { counting } from "./counting.ts"
import type { Driver } from "./driver.ts"
import { enqueueing } from "./enqueueing.ts"
import { fencing } from "./fencing.ts"
import { history } from "./history.ts"
import { keys } from "./keys.ts"
import { laneCounts } from "./laneCounts.ts"
import { lanes } from "./lanes.ts"
import { leases } from "./leases.ts"
import { nonces } from "./nonces.ts"
import { notifying } from "./notifying.ts"
import { order } from "./order.ts"
import { pausing } from "./pausing.ts"
import { pruning } from "./pruning.ts"
import { reading } from "./reading.ts"
import { rerunning } from "./rerunning.ts"
import { rescuing } from "./rescuing.ts"
import { scheduling } from "./scheduling.ts"
import { settling } from "./settling.ts"
import { sizes } from "./sizes.ts"
import { together } from "./together.ts"
import { transitions } from "./transitions.ts"

export type { Driver } from "./driver.ts"

const areas = [
  enqueueing,
  keys,
  capacity,
  bytes,
  claiming,
  lanes,
  order,
  together,
  scheduling,
  nonces,
  leases,
  fencing,
  settling,
  sizes,
  history,
  rescuing,
  cancelling,
  rerunning,
  pausing,
  pruning,
  reading,
  counting,
  laneCounts,
  transitions,
  concurrency,
  notifying
]

/** Holds a driver to the contract of `TaskStore`. */
export const suite = (name: string, driver: Driver): void => {
  describe(`${name} keeps the store contract`, () => {
    for (const area of areas) area(driver)
  })
}
