/** The claims that every storage driver has to keep, area by area. */
import { describe } from "@effect/vitest"
import { atomically } from "./atomically.ts"
import { branches } from "./branches.ts"
import { breakers } from "./breakers.ts"
import { bytes } from "./bytes.ts"
import { cancelling } from "./cancelling.ts"
import { capacity } from "./capacity.ts"
import { claiming } from "./claiming.ts"
import { concurrency } from "./concurrency.ts"
import { counting } from "./counting.ts"
import { deadlines } from "./deadlines.ts"
import { dependencies } from "./dependencies.ts"
import type { Driver } from "./driver.ts"
import { enqueueing } from "./enqueueing.ts"
import { eventLog } from "./eventLog.ts"
import { expiring } from "./expiring.ts"
import { fairness } from "./fairness.ts"
import { fencing } from "./fencing.ts"
import { history } from "./history.ts"
import { instances } from "./instances.ts"
import { keys } from "./keys.ts"
import { laneCounts } from "./laneCounts.ts"
import { lanes } from "./lanes.ts"
import { leases } from "./leases.ts"
import { limits } from "./limits.ts"
import { nonces } from "./nonces.ts"
import { notifying } from "./notifying.ts"
import { order } from "./order.ts"
import { ordering } from "./ordering.ts"
import { pausing } from "./pausing.ts"
import { pruning } from "./pruning.ts"
import { reading } from "./reading.ts"
import { records } from "./records.ts"
import { rerunning } from "./rerunning.ts"
import { rescheduling } from "./rescheduling.ts"
import { rescuing } from "./rescuing.ts"
import { scheduling } from "./scheduling.ts"
import { seeing } from "./seeing.ts"
import { settling } from "./settling.ts"
import { sizes } from "./sizes.ts"
import { tags } from "./tags.ts"
import { together } from "./together.ts"
import { traces } from "./traces.ts"
import { transitions } from "./transitions.ts"
import { uniqueness } from "./uniqueness.ts"
import { versions } from "./versions.ts"

const areas = [
  enqueueing,
  keys,
  uniqueness,
  traces,
  tags,
  versions,
  rescheduling,
  seeing,
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
  expiring,
  deadlines,
  rerunning,
  pausing,
  limits,
  breakers,
  ordering,
  fairness,
  pruning,
  dependencies,
  branches,
  reading,
  counting,
  laneCounts,
  transitions,
  concurrency,
  notifying,
  atomically
]

/**
 * Declares tests that hold a driver to all five contracts: `TaskStore`, `RecordStore`, `Notifier`, `InstanceStore` and
 * `EventLog`. To be called at the top of a test file.
 */
export const suite = (name: string, driver: Driver): void => {
  describe(`${name} keeps the store contract`, () => {
    for (const area of areas) area(driver)
  })
  records(name, driver)
  instances(name, driver)
  eventLog(name, driver)
}
