/** Changes a task that waits: when it is due, how urgent it is, and what it is given. */
import { useSignal } from "@preact/signals"
import { call } from "../Requests.ts"
import type { Task } from "../Wire.ts"
import { Dialog } from "./Dialog.tsx"
import { notify } from "./Notices.tsx"

/** The form. Only what is changed is sent. */
export const Reschedule = ({ onChanged, onClose, path, task }: {
  readonly task: Task
  readonly path: string
  readonly onChanged: () => void
  readonly onClose: () => void
}) => {
  const old = JSON.stringify(task.payload, null, 2)
  const delay = useSignal("")
  const priority = useSignal(String(task.priority))
  const payload = useSignal(old)
  return (
    <Dialog
      title="Change this task"
      verb="Change it"
      onClose={onClose}
      act={async () => {
        const changes = {
          ...delay.value.trim() === "" ? {} : { delay: delay.value.trim() },
          ...priority.value === String(task.priority) ? {} : { priority: Number(priority.value) },
          ...payload.value === old ? {} : { payload: parsed(payload.value) }
        }
        if (Object.keys(changes).length === 0) throw new Error("Nothing is changed yet.")
        await call("PATCH", path, changes)
        notify("good", "The task is changed")
        onChanged()
      }}
    >
      <label class="field">
        Due in
        <input
          placeholder="as it is; 0ms is now, or 5m, 1h30m"
          value={delay.value}
          spellcheck={false}
          onInput={(event) => {
            delay.value = event.currentTarget.value
          }}
        />
      </label>
      <label class="field">
        Priority
        <select
          value={priority.value}
          onChange={(event) => {
            priority.value = event.currentTarget.value
          }}
        >
          {priorities.map((name, value) => <option key={value} value={String(value)}>{name}</option>)}
        </select>
      </label>
      <label class="field">
        Payload
        <textarea
          rows={8}
          spellcheck={false}
          value={payload.value}
          onInput={(event) => {
            payload.value = event.currentTarget.value
          }}
        />
      </label>
      <p class="soft">
        Passwords and tokens in a payload are shown as stars: leave the payload as it is, or write all of it anew.
      </p>
    </Dialog>
  )
}

const priorities = ["0 · low", "1 · normal", "2 · high", "3 · urgent", "4", "5", "6", "7", "8", "9"]

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`The payload is no JSON: ${(error as Error).message}`, { cause: error })
  }
}
