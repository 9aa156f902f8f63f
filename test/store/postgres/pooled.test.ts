/**
 * The PostgreSQL store behind PgBouncer keeps the contract of every store, where a pooler could break it. Together these
 * areas send every statement of the store, without a prepared one, and do all that depends on a session or a
 * transaction: locks, sequences, savepoints and notifications. What the others add is what those statements answer, which
 * a pooler hands on as it is: sizes, idempotency keys, fencing, transitions, history, reruns, groups, and order.
 */
import { describe } from "@effect/vitest"
import * as PgBouncer from "../../servers/PgBouncer.ts"
import { withServer } from "../../servers/withServer.ts"
import { atomically } from "../conformance/atomically.ts"
import { breakers } from "../conformance/breakers.ts"
import { bytes } from "../conformance/bytes.ts"
import { cancelling } from "../conformance/cancelling.ts"
import { capacity } from "../conformance/capacity.ts"
import { claiming } from "../conformance/claiming.ts"
import { concurrency } from "../conformance/concurrency.ts"
import { counting } from "../conformance/counting.ts"
import { enqueueing } from "../conformance/enqueueing.ts"
import { eventLog } from "../conformance/eventLog.ts"
import { expiring } from "../conformance/expiring.ts"
import { fairness } from "../conformance/fairness.ts"
import { instances } from "../conformance/instances.ts"
import { laneCounts } from "../conformance/laneCounts.ts"
import { lanes } from "../conformance/lanes.ts"
import { leases } from "../conformance/leases.ts"
import { limits } from "../conformance/limits.ts"
import { nonces } from "../conformance/nonces.ts"
import { notifying } from "../conformance/notifying.ts"
import { ordering } from "../conformance/ordering.ts"
import { pausing } from "../conformance/pausing.ts"
import { pruning } from "../conformance/pruning.ts"
import { reading } from "../conformance/reading.ts"
import { records } from "../conformance/records.ts"
import { rescuing } from "../conformance/rescuing.ts"
import { scheduling } from "../conformance/scheduling.ts"
import { settling } from "../conformance/settling.ts"
import { uniqueness } from "../conformance/uniqueness.ts"
import { Schemas } from "./fixtures.ts"

const areas = [
  atomically,
  breakers,
  bytes,
  cancelling,
  capacity,
  claiming,
  concurrency,
  counting,
  enqueueing,
  expiring,
  fairness,
  laneCounts,
  lanes,
  leases,
  limits,
  nonces,
  notifying,
  ordering,
  pausing,
  pruning,
  reading,
  rescuing,
  scheduling,
  settling,
  uniqueness
]

await withServer("PgBouncer", PgBouncer.pooled, ({ direct, pooler }) => {
  const { advance, layer } = new Schemas(direct, pooler)
  const name = "The PostgreSQL store behind PgBouncer"
  const driver = { layer, advance, live: true }
  describe(`${name} keeps the store contract`, () => {
    for (const area of areas) area(driver)
  })
  records(name, driver)
  instances(name, driver)
  eventLog(name, driver)
})
