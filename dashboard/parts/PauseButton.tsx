/** Pauses something, with a reason that the others read, and lets it go on again. */
import { useSignal } from "@preact/signals"
import { call } from "../Requests.ts"
import { Dialog } from "./Dialog.tsx"
import { notify } from "./Notices.tsx"
import { Instant } from "./Time.tsx"

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
  const lasting = useSignal("")
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
            const time = lasting.value.trim()
            const given = { ...text !== "" && { reason: text }, ...time !== "" && { for: time } }
            if (isPaused) await call("POST", `${path}/resume`)
            else await call("POST", `${path}/pause`, given)
            notify("good", `The ${kind} ${name} is ${isPaused ? "resumed" : "paused"}`)
            onChanged()
          }}
        >
          {isPaused
            ? (
              <p>
                {kind === "schedule"
                  ? "It makes tasks again, from its next tick on."
                  : "Its tasks start again, on all instances."}
              </p>
            )
            : (
              <>
                {kind === "schedule"
                  ? <p>It makes no tasks until it is resumed. Those that it has made go on.</p>
                  : (
                    <p>
                      No instance starts its tasks until it is resumed. Running tasks go on, and new ones are accepted.
                    </p>
                  )}
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
                {kind !== "schedule" && (
                  <label class="field field-short">
                    For
                    <input
                      value={lasting.value}
                      placeholder="no end; or 2h"
                      onInput={(event) => {
                        lasting.value = event.currentTarget.value
                      }}
                    />
                  </label>
                )}
              </>
            )}
        </Dialog>
      )}
    </>
  )
}

/** That something is paused: by whom, why and until when. */
export const Paused = ({ pause }: {
  readonly pause: { readonly by: string | null; readonly reason: string | null; readonly until?: string | null }
}) => (
  <span class="mark paused">
    paused{pause.by === null ? "" : ` by ${pause.by}`}
    {typeof pause.until === "string" && (
      <>
        {" "}until <Instant at={pause.until} />
      </>
    )}
    {pause.reason === null ? "" : `: ${pause.reason}`}
  </span>
)
