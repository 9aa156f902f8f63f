/**
 * New tasks with gates wait together, in the order of work, whatever their gates are. One goes to its line when a claim comes to it and
 * finds its gate closed. So nearly no lines are made where nearly every gate is open, however many there are.
 *
 * This gives what lines would, where the limits of a gate look at nothing but how many tasks run. The others depend on which task of
 * the line was looked at before: where a claim comes across one of those, all that wait together go to their lines first.
 */
import type { GatedTask } from "./Lines.ts"

/** Tasks that one claim moves to their lines at most. Then it answers what it has, and that it pays to claim again. */
export const maxMoved = 2000

/** Neighbours with one gate from which on they go to their line at once: a claim looks at them as one when it is closed. */
const maxNeighbours = 8

/** What a claim finds of a task that waits together with others. `uneven`: its gate has a limit that takes lines to decide. */
export type Look = "open" | "closed" | "uneven"

/** What decides about tasks that wait together: see `Gatekeeper`. */
export interface JointKeeper<Task extends GatedTask> {
  /** Whether a new task with this gate may wait together with others. */
  readonly waitsTogether: (gate: string) => boolean
  readonly look: (task: Task) => Look
  /** To be called for a task that was found open, before another one is looked at. */
  readonly start: (task: Task) => void
  /** Whether the claim may move one more task to its line. */
  readonly mayMove: () => boolean
}

/** The tasks of one queue and type that wait together, as a driver keeps them. */
export interface Together<Task extends GatedTask> {
  readonly keeper: JointKeeper<Task>
  readonly first: () => Task | undefined
  /** Takes the first one out for a claim. */
  readonly shift: (first: Task) => void
  /** Takes the first one out and puts it into its line. */
  readonly move: (first: Task) => void
}

/** Tells many neighbours with one gate from those whose gates differ. */
export class Neighbours {
  private gate: string | undefined
  private count = 0

  /** To be called for each new task with a gate: whether no more than a few before it, and next to it, have the same. */
  areFew(gate: string): boolean {
    if (gate === this.gate) this.count++
    else {
      this.gate = gate
      this.count = 1
    }
    return this.count <= maxNeighbours
  }
}
