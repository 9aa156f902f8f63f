/**
 * How tests wait for what must come from a server, a socket or another process: they look until it is there. How quick
 * the machine is decides nothing, and a test that looks in vain can still say what it missed before vitest ends it.
 */
import { type Duration, Schedule } from "effect"

/** Looks again after each pause, for two minutes at most. */
export const patiently = (pause: Duration.Input = "20 millis") =>
  Schedule.upTo(Schedule.spaced(pause), { duration: "2 minutes" })
