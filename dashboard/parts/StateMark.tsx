/** A state, told by a word, a colour and a shape: never by the colour alone. */
import type { State } from "../Wire.ts"

/** The mark of a state. */
export const StateMark = ({ isCancelling = false, state }: {
  readonly state: State
  readonly isCancelling?: boolean | undefined
}) => (
  <span class={`state state-${state}`}>
    <i aria-hidden="true" />
    {isCancelling && state === "running" ? "cancelling" : state}
  </span>
)
