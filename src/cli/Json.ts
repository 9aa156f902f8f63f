/** Output for programs. */
import { Flag } from "effect/cli"

/** Asks for JSON instead of text: a value per line. */
export const flag = Flag.Boolean("json").pipe(
  Flag.withDescription("Prints JSON, a value per line"),
  Flag.withDefault(false)
)
