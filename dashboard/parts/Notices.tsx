/** What came of an action, said once, also to those who listen to the page. */
import { signal } from "@preact/signals"
import { Icon } from "./Icon.tsx"

interface Notice {
  readonly number: number
  readonly kind: "good" | "bad"
  readonly text: string
}

const notices = signal<ReadonlyArray<Notice>>([])
let last = 0

/** How long they stay, in milliseconds: what went wrong stays longer. */
const stayMs = { good: 5000, bad: 12_000 }
const maxNotices = 4

/** Says something. */
export const notify = (kind: Notice["kind"], text: string): void => {
  const number = ++last
  notices.value = [...notices.value, { number, kind, text }].slice(-maxNotices)
  setTimeout(() => dismiss(number), stayMs[kind])
}

const dismiss = (number: number): void => {
  notices.value = notices.value.filter((notice) => notice.number !== number)
}

/** Where they appear. */
export const Notices = () => (
  <div class="notices" role="status" aria-live="polite">
    {notices.value.map(({ kind, number, text }) => (
      <div key={number} class={`notice notice-${kind}`}>
        <Icon name={kind === "good" ? "good" : "alert"} />
        <span>{text}</span>
        <button type="button" class="icon-button" aria-label="Dismiss" onClick={() => dismiss(number)}>
          <Icon name="close" size={15} />
        </button>
      </div>
    ))}
  </div>
)
