/** The keys of the page: one list, by which they work and from which they are shown. */
import { signal } from "@preact/signals"
import { go, link } from "./Router.ts"
import { isLockedOut, may } from "./Session.ts"

/** A key, or two of them one after the other. */
export interface Key {
  readonly keys: ReadonlyArray<string>
  readonly name: string
  readonly act: () => void
}

/** The pages by the letter that follows `g`. */
export const pageKeys: Readonly<Record<string, string>> = {
  o: "overview",
  t: "tasks",
  e: "errors",
  q: "queues",
  s: "schedules",
  l: "limits",
  i: "instances",
  p: "operations"
}

/** What is open over the page. */
export const open = signal<"palette" | "keys" | undefined>(undefined)

/** What the keys lead through: what stands for one thing in a list. */
const rows =
  "main .cell-task a, main .error-group h2 a, main .operation h2 a, main .instance h2 a, main .schedule h2 a, " +
  "main tbody th a, main .type-choices a, main .figure"

/** Puts the focus on the next thing of a list, or the one before. */
const step = (by: 1 | -1): void => {
  const found = [...document.querySelectorAll<HTMLElement>(rows)]
  const at = found.findIndex((row) => row === document.activeElement)
  const next = found[at < 0 ? (by > 0 ? 0 : found.length - 1) : Math.min(found.length - 1, Math.max(0, at + by))]
  next?.focus()
  next?.scrollIntoView({ block: "nearest" })
}

/** Frames in which the search bar may appear on the page that has it. */
const maxFrames = 60

/** Puts the focus into the search bar, on the page that has it. */
const search = (frames = maxFrames): void => {
  const input = document.querySelector<HTMLElement>("[role=search] input")
  if (input !== null) return input.focus()
  if (frames === maxFrames) go(link(["tasks"]))
  if (frames > 0) requestAnimationFrame(() => search(frames - 1))
}

const show = (what: "palette" | "keys") => () => {
  open.value = what
}

/** Every key. Those of pages come besides. */
export const keys: ReadonlyArray<Key> = [
  { keys: ["Ctrl", "K"], name: "Commands: any page, task or action by its name", act: show("palette") },
  { keys: ["?"], name: "These keys", act: show("keys") },
  { keys: ["/"], name: "Search tasks", act: () => search() },
  {
    keys: ["n"],
    name: "New task",
    act: () => {
      if (may("write")) go(link(["enqueue"]))
    }
  },
  { keys: ["j"], name: "The next of a list", act: () => step(1) },
  { keys: ["k"], name: "The one before", act: () => step(-1) }
]

/** How long a second key may take, in milliseconds. */
const pauseMs = 1500

/** Whether a text is being written, or a question is open. */
const isBusy = (target: EventTarget | null): boolean =>
  document.querySelector("dialog[open]") !== null ||
  (target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable]") !== null)

/** Listens until it is told to stop. */
export const listen = (): () => void => {
  let isGoing = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const onKey = (event: KeyboardEvent): void => {
    if (isLockedOut.value || event.altKey || event.isComposing) return
    const isCommand = event.ctrlKey || event.metaKey
    if (isCommand) {
      if (event.key.toLowerCase() !== "k" || event.shiftKey || document.querySelector("dialog[open]") !== null) return
      event.preventDefault()
      open.value = "palette"
      return
    }
    if (isBusy(event.target)) return
    const page = isGoing ? pageKeys[event.key] : undefined
    isGoing = event.key === "g"
    clearTimeout(timer)
    timer = setTimeout(() => {
      isGoing = false
    }, pauseMs)
    const found = keys.find(({ keys: [first, second] }) => second === undefined && first === event.key)
    if (page === undefined && found === undefined) return
    event.preventDefault()
    if (page !== undefined) go(link([page]))
    else found!.act()
  }
  addEventListener("keydown", onKey)
  return () => {
    removeEventListener("keydown", onKey)
    clearTimeout(timer)
  }
}
