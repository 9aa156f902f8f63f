/** A question before something is done. It is the browser's own dialog: the focus stays in it, and Escape closes it. */
import { useSignal } from "@preact/signals"
import type { ComponentChildren } from "preact"
import { useEffect, useId, useRef } from "preact/hooks"
import { wordsOfAct } from "../Requests.ts"

/** What is asked, and what is done. */
export interface Question {
  readonly title: string
  readonly children?: ComponentChildren
  /** What the button says: a verb. */
  readonly verb: string
  readonly isDangerous?: boolean | undefined
  /** Does it. The dialog closes once it is done, and says why it could not. */
  readonly act: () => Promise<void>
  readonly onClose: () => void
}

/** Shows the question until it is answered. */
export const Dialog = ({ act, children, isDangerous = false, onClose, title, verb }: Question) => {
  const dialog = useRef<HTMLDialogElement>(null)
  const isActing = useSignal(false)
  const problem = useSignal("")
  const heading = useId()
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  const submit = async (event: Event) => {
    event.preventDefault()
    if (isActing.value) return
    isActing.value = true
    problem.value = ""
    try {
      await act()
      dialog.current?.close()
    } catch (error) {
      problem.value = wordsOfAct(error)
    }
    isActing.value = false
  }
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby={heading} onClose={onClose}>
      <form onSubmit={submit}>
        <h2 id={heading}>{title}</h2>
        {children}
        {problem.value !== "" && <p class="trouble" role="alert">{problem.value}</p>}
        <div class="dialog-buttons">
          <button type="button" onClick={() => dialog.current?.close()}>Keep it as it is</button>
          <button type="submit" class={isDangerous ? "danger" : "primary"} disabled={isActing.value}>
            {isActing.value ? "One moment …" : verb}
          </button>
        </div>
      </form>
    </dialog>
  )
}
