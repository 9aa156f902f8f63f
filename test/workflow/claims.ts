/** The claims about workflows, for an engine and for a store. */
import { describe } from "@effect/vitest"
import type { Driver } from "../store/conformance/driver.ts"
import { runsActivities } from "./activities.ts"
import { explains } from "./explained.ts"
import { completesByItself } from "./ownDeferreds.ts"
import { proxies } from "./proxies.ts"
import { repeats } from "./repeats.ts"
import { ours, type Subject } from "./subjects.ts"
import { takesOver } from "./takeover.ts"
import { waits } from "./waits.ts"

/** What must hold on every engine. */
export const claims = (name: string, subject: Subject): void => {
  describe(name, () => {
    runsActivities(subject)
    repeats(subject)
    waits(subject)
    proxies(subject)
    explains(subject)
  })
}

/** The same of ours on a store, and what must hold where several processes share it. */
export const claimsOn = (name: string, driver: Driver): void => {
  claims(name, ours(driver))
  describe(name, () => {
    takesOver(driver)
    completesByItself(driver)
  })
}
