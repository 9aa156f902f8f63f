/** What can be done about a task in its state, by someone whose role allows it. */
import { useSignal } from "@preact/signals"
import { call } from "../Requests.ts"
import { go, link } from "../Router.ts"
import { may } from "../Session.ts"
import { isFinished, type Task } from "../Wire.ts"
import { Dialog } from "./Dialog.tsx"
import { notify } from "./Notices.tsx"
import { Reschedule } from "./Reschedule.tsx"

/** The buttons, and the question that each of them asks first. */
export const TaskActions = ({ onChanged, path, task }: {
  readonly task: Task
  readonly path: string
  readonly onChanged: () => void
}) => {
  const asked = useSignal<"cancel" | "rerun" | "remove" | "reschedule" | undefined>(undefined)
  if (!may("write")) return null
  const close = () => {
    asked.value = undefined
  }
  const { status } = task
  const isWaiting = status === "pending" || status === "scheduled"
  return (
    <div class="buttons">
      <a class="button" href={link(["enqueue"], { type: task.type, like: task.id })}>Enqueue a copy …</a>
      {isWaiting && (
        <button
          type="button"
          onClick={() => {
            asked.value = "reschedule"
          }}
        >
          Change …
        </button>
      )}
      {!isFinished(status) && (
        <button
          type="button"
          class="danger"
          disabled={task.cancel_requested}
          onClick={() => {
            asked.value = "cancel"
          }}
        >
          {task.cancel_requested ? "Being cancelled" : "Cancel …"}
        </button>
      )}
      {isFinished(status) && status !== "completed" && (
        <button
          type="button"
          class="primary"
          onClick={() => {
            asked.value = "rerun"
          }}
        >
          Run again …
        </button>
      )}
      {isFinished(status) && (
        <button
          type="button"
          class="danger"
          onClick={() => {
            asked.value = "remove"
          }}
        >
          Remove …
        </button>
      )}
      {asked.value === "cancel" && (
        <Dialog
          title="Cancel this task?"
          verb="Cancel the task"
          isDangerous
          onClose={close}
          act={async () => {
            const { status } = await call<{ status: "cancelled" | "requested" | "finished" }>("POST", `${path}/cancel`)
            notify(status === "finished" ? "bad" : "good", cancelled[status])
            onChanged()
          }}
        >
          <p>
            {status === "running"
              ? "It runs: its fiber is interrupted, and its finalizers run. What it has done outside stays done."
              : "It waits, and will never start. You can run it again later."}
          </p>
        </Dialog>
      )}
      {asked.value === "rerun" && (
        <Dialog
          title="Run this task again?"
          verb="Run it again"
          onClose={close}
          act={async () => {
            await call("POST", `${path}/rerun`)
            notify("good", "It is due now, with all its retries")
            onChanged()
          }}
        >
          <p>It is due at once, with the same payload and all its retries.</p>
        </Dialog>
      )}
      {asked.value === "remove" && (
        <Dialog
          title="Remove this task?"
          verb="Remove it"
          isDangerous
          onClose={close}
          act={async () => {
            await call("DELETE", `${path}?only=finished`)
            notify("good", "The task is removed")
            go(link(["tasks"]))
          }}
        >
          <p>Its payload, its result, its history and its logs are gone then. This cannot be taken back.</p>
        </Dialog>
      )}
      {asked.value === "reschedule" && <Reschedule task={task} path={path} onClose={close} onChanged={onChanged} />}
    </div>
  )
}

const cancelled = {
  cancelled: "The task is cancelled: it will never start",
  requested: "The task is being interrupted",
  finished: "The task had finished already: nothing was cancelled"
} as const
