/** What a task type says of the steps in its handler. */
import * as Bounds from "./Bounds.ts"

/** What is done where the steps of a handler have changed since its task began. */
export interface StepSettings {
  /**
   * What becomes of a new step that is about to run while a step has ended that this attempt has not asked for: it may be the same work
   * under another name. By default (`fail`) the task fails with `StepsChanged`, and nothing is run. With `run` the new step runs.
   */
  readonly onChanged?: "fail" | "run" | undefined
  /** Names of steps that the handler had once, and asks for no more. */
  readonly retired?: ReadonlyArray<string> | undefined
}

/** The same with the defaults. */
export interface StepOptions {
  readonly onChanged: "fail" | "run"
  readonly retired: ReadonlyArray<string>
}

const names: Bounds.Names<StepSettings> = { onChanged: 1, retired: 1 }

const onChanged: Bounds.Bound<string> = {
  expected: "fail or run",
  accepts: (value) => value === "fail" || value === "run"
}

/** The options of a type. Throws `InvalidOption` where one is refused. */
export const of = (settings: StepSettings = {}): StepOptions => {
  Bounds.demandKnown(settings, names, "steps.")
  Bounds.demand("steps.onChanged", onChanged, settings.onChanged)
  for (const name of settings.retired ?? []) Bounds.demand("steps.retired", Bounds.name, name)
  return { onChanged: settings.onChanged ?? "fail", retired: settings.retired ?? [] }
}
