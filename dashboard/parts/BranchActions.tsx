/** What can be done about a task together with all that depend on it: how many these are, and a question before each. */
import { useSignal } from "@preact/signals"
import { call, get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { may } from "../Session.ts"
import * as Texts from "../Texts.ts"
import { Dialog } from "./Dialog.tsx"
import { notify } from "./Notices.tsx"

interface Size {
  readonly members: number
  readonly complete: boolean
}

/** What became of the members, by answer. */
interface Done {
  readonly members: number
  readonly own: number
  readonly blocked_by?: ReadonlyArray<string>
  readonly [answer: string]: number | ReadonlyArray<string> | undefined
}

/** The buttons; nothing where no task depends on this one. */
export const BranchActions = ({ onChanged, path }: { readonly path: string; readonly onChanged: () => void }) => {
  const asked = useSignal<"cancel" | "rerun" | undefined>(undefined)
  const withCompleted = useSignal(false)
  const { data } = useResource(`branch ${path}`, (ended) => get<Size>(`${path}/branch`, ended), { live: 10_000 })
  const size = data.value
  if (size === undefined || size.members < 2) return null
  const others = `${Texts.counted(size.members - 1, "task")}${size.complete ? "" : " or more"}`
  const depend = size.members === 2 ? "depends" : "depend"
  if (!may("write")) return <p class="branch">{others} {depend} on it.</p>
  const close = () => {
    asked.value = undefined
  }
  const act = async (action: string, words: Readonly<Record<string, string>>) => {
    const done = await call<Done>("POST", `${path}/branch/${action}`)
    const told = Object.entries(words).flatMap(([answer, word]) =>
      typeof done[answer] === "number" && done[answer] > 0 ? [`${done[answer]} ${word}`] : []
    )
    const held = done.blocked_by ?? []
    notify(
      held.length > 0 ? "bad" : "good",
      `${Texts.counted(done.members, "task")}: ${told.join(", ")}${
        held.length > 0 ? `. First run again: ${held.join(", ")}` : ""
      }`
    )
    onChanged()
  }
  return (
    <div class="branch">
      <span>{others} {depend} on it.</span>
      <div class="buttons">
        <button
          type="button"
          class="danger"
          onClick={() => {
            asked.value = "cancel"
          }}
        >
          Cancel all …
        </button>
        <button
          type="button"
          onClick={() => {
            asked.value = "rerun"
          }}
        >
          Run all again …
        </button>
      </div>
      {asked.value === "cancel" && (
        <Dialog
          title={`Cancel this task and ${others}?`}
          verb="Cancel them all"
          isDangerous
          onClose={close}
          act={() => act("cancel", cancelled)}
        >
          <p>
            Those that wait will never start, and those that run are interrupted. The last are cancelled first, so none
            starts because of it.
          </p>
        </Dialog>
      )}
      {asked.value === "rerun" && (
        <Dialog
          title={`Run this task and ${others} again?`}
          verb="Run them all again"
          onClose={close}
          act={() => act(`rerun${withCompleted.value ? "?completed=true" : ""}`, again)}
        >
          <p>What has failed, was cancelled or has expired runs again, each task after those that it depends on.</p>
          <label>
            <input
              type="checkbox"
              checked={withCompleted.value}
              onChange={({ currentTarget }) => {
                withCompleted.value = currentTarget.checked
              }}
            />{" "}
            Completed tasks too; their results are lost
          </label>
        </Dialog>
      )}
    </div>
  )
}

const cancelled = { cancelled: "cancelled", requested: "being interrupted", finished: "had finished" }

const again = {
  rerun: "run again",
  waiting: "wait",
  running: "run already",
  completed: "stay completed",
  blocked: "stay as they are",
  superseded: "replaced by a later task",
  unknown: "gone"
}
