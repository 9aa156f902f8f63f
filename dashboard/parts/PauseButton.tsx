/** Pauses something, with a reason that the others read, and lets it go on again. */
import { useSignal } from "@preact/signals"
import { call } from "../Requests.ts"
import { Dialog } from "./Dialog.tsx"
import { notify } from "./Notices.tsx"

/** The button, and its question. */
export const PauseButton = ({ isPaused, kind, name, onChanged, path }: {
  /** Such as `queue`. */
  readonly kind: string
  readonly name: string
  /** Its address; `/pause` and `/resume` are below it. */
  readonly path: string
  readonly isPaused: boolean
  readonly onChanged: () => void
}) => {
  const isAsked = useSignal(false)
  const reason = useSignal("")
  return (
    <>
      <button
        type="button"
        aria-label={`${isPaused ? "Resume" : "Pause"} the ${kind} ${name}`}
        onClick={() => {
          isAsked.value = true
        }}
      >
        {isPaused ? "Resume …" : "Pause …"}
      </button>
      {isAsked.value && (
        <Dialog
          title={`${isPaused ? "Resume" : "Pause"} the ${kind} ${name}?`}
          verb={isPaused ? "Resume it" : "Pause it"}
          onClose={() => {
            isAsked.value = false
          }}
          act={async () => {
            const text = reason.value.trim()
            if (isPaused) await call("POST", `${path}/resume`)
            else await call("POST", `${path}/pause`, text === "" ? {} : { reason: text })
            notify("good", `The ${kind} ${name} is ${isPaused ? "resumed" : "paused"}`)
            onChanged()
          }}
        >
          {isPaused
            ? <p>Its tasks start again, on all instances.</p>
            : (
              <>
                <p>No instance starts its tasks until it is resumed. Running tasks go on, and new ones are accepted.</p>
                <label class="field">
                  Reason
                  <input
                    value={reason.value}
                    placeholder="What others should know"
                    onInput={(event) => {
                      reason.value = event.currentTarget.value
                    }}
                  />
                </label>
              </>
            )}
        </Dialog>
      )}
    </>
  )
}

/** That something is paused: by whom, why and until when. */
export const Paused = ({ pause }: {
  readonly pause: { readonly by: string | null; readonly reason: string | null }
}) => (
  <span class="mark paused">
    paused{pause.by === null ? "" : ` by ${pause.by}`}
    {pause.reason === null ? "" : `: ${pause.reason}`}
  </span>
)
