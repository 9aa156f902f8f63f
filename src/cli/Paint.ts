/** Colours, by what they mean. */
import { stripVTControlCharacters } from "node:util"
import type { TaskState } from "../domain/TaskState.ts"

/** Paints texts, or leaves them as they are. */
export interface Paint {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly warn: (text: string) => string
  readonly accent: (text: string) => string
  readonly state: (state: TaskState, text?: string) => string
}

/** Paints where the screen has colours. */
export const make = ({ colours }: { readonly colours: boolean }): Paint => {
  const with_ = (code: number) => (text: string) => colours && text !== "" ? `\u001b[${code}m${text}\u001b[0m` : text
  const paint = { bold: with_(1), dim: with_(2), bad: with_(31), good: with_(32), warn: with_(33), accent: with_(36) }
  const byState = {
    scheduled: with_(35),
    pending: with_(36),
    running: with_(33),
    completed: with_(32),
    failed: with_(31),
    cancelled: with_(2)
  }
  return { ...paint, state: (state, text = state) => byState[state](text) }
}

/** The mark before a task in this state. */
export const mark: Record<TaskState, string> = {
  scheduled: "◷",
  pending: "○",
  running: "◐",
  completed: "✓",
  failed: "✗",
  cancelled: "–"
}

/** Text from elsewhere may hold escape sequences, which would rule the terminal, and line breaks, which would end the row. */
export const plain = (text: string): string =>
  stripVTControlCharacters(text).replace(/\s+/g, " ").replace(
    /[\p{Control}\p{Bidi_Control}]/gu,
    "\u{fffd}"
  )
