/** The operation that was begun or taken back last on this page: how far it is, and what can be done about it. */
import { signal } from "@preact/signals"
import { call, get, wordsOf } from "../Requests.ts"
import { link } from "../Router.ts"
import { may } from "../Session.ts"
import * as Texts from "../Texts.ts"
import type { Operation } from "../Wire.ts"
import { Icon } from "./Icon.tsx"
import { notify } from "./Notices.tsx"

const followed = signal<Operation | undefined>(undefined)

/** Between two looks, in milliseconds. */
const lookEveryMs = 500

/** Whether there is more to come. */
export const isGoingOn = ({ status }: Operation): boolean => status === "running" || status === "undoing"

/** What has become of its tasks. */
export const done: Readonly<Record<Operation["action"], string>> = {
  cancel: "cancelled",
  rerun: "run again",
  discard: "removed",
  reschedule: "changed"
}

const doing: Readonly<Record<Operation["action"], string>> = {
  cancel: "Cancelling",
  rerun: "Running again",
  discard: "Removing",
  reschedule: "Changing"
}

const pathOf = (id: string): string => `api/v1/operations/${id}`

/** Follows an operation until it rests, in place of the one before. */
export const follow = (operation: Operation): void => {
  followed.value = operation
  if (isGoingOn(operation)) setTimeout(() => void look(operation.id), lookEveryMs)
}

const look = async (id: string): Promise<void> => {
  if (followed.value?.id !== id) return
  try {
    const found = await get<Operation>(pathOf(id))
    if (followed.value?.id === id) follow(found)
  } catch {
    if (followed.value?.id === id) setTimeout(() => void look(id), lookEveryMs * 4)
  }
}

/** Ends an operation, or takes it back, and follows what comes of that. */
export const change = async (operation: Operation, verb: "abort" | "undo"): Promise<void> => {
  try {
    follow(await call<Operation>("POST", `${pathOf(operation.id)}/${verb}`, {}))
  } catch (error) {
    notify("bad", wordsOf(error))
  }
}

/** In one sentence, where it is. */
export const sentence = (operation: Operation): string => {
  const { action, expected, expected_complete, matched, restored, status, unsure } = operation
  const changed = `${Texts.counted(operation.done, "task")} ${done[action]}`
  const others = matched - operation.done - unsure
  const rest = `${unsure > 0 ? `, ${Texts.count(unsure)} by it or by others` : ""}${
    others > 0 ? `, ${Texts.count(others)} left to others` : ""
  }`
  switch (status) {
    case "running":
      return `${doing[action]}: ${Texts.count(matched)} of ${expected_complete ? "" : "at least "}${
        Texts.counted(expected, "task")
      }`
    case "undoing":
      return `Taking it back: ${Texts.counted(restored, "task")} so far`
    case "undone":
      return `Taken back: ${Texts.count(restored)} of ${Texts.counted(operation.done + unsure, "task")} wait as before`
    case "aborted":
      return `Aborted: ${changed}${rest}`
    default:
      return `${changed}${rest}`
  }
}

/** The line at the top of the page. */
export const Following = () => {
  const operation = followed.value
  if (operation === undefined) return null
  const { expected, max, matched, status } = operation
  const total = Math.max(1, Math.min(expected, max ?? expected))
  return (
    <section class="following" aria-label="The operation that was begun last">
      <span role="status">{sentence(operation)}</span>
      {status === "running" && <progress max={total} value={Math.min(total, matched)} aria-label="How far it is" />}
      <a href={link(["operations"])}>All operations</a>
      {status === "running" && may("write") && (
        <button type="button" onClick={() => void change(operation, "abort")}>Abort</button>
      )}
      {!isGoingOn(operation) && operation.undo !== null && may("write") && (
        <button
          type="button"
          onClick={() => void change(operation, "undo")}
        >
          Undo
        </button>
      )}
      {!isGoingOn(operation) && (
        <button
          type="button"
          class="icon-button"
          aria-label="Dismiss"
          onClick={() => {
            followed.value = undefined
          }}
        >
          <Icon name="close" size={15} />
        </button>
      )}
    </section>
  )
}
