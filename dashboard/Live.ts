/**
 * The one stream of events of the tab. It is read with `fetch`: a key goes in a header, a refusal can be told from a broken
 * connection, and whatever closes the stream, the page opens it again by itself, from the last event that it has seen. While
 * it is not open, pages poll. A tab in the background has none, since a browser opens few connections to a server.
 */
import { signal } from "@preact/signals"
import { address, credentials } from "./Requests.ts"
import { isLockedOut } from "./Session.ts"
import type { TaskEvent } from "./Wire.ts"

/** Which events a page wants. */
export interface Filter {
  readonly type?: string | undefined
  readonly queue?: string | undefined
  readonly task?: string | undefined
}

/** What a page does with them. */
export interface Listener {
  /** Events that came together. */
  readonly onEvents: (events: ReadonlyArray<TaskEvent>) => void
  /** Events are missing, or may be: look at everything again. */
  readonly onGap: () => void
}

/** `off`: no page wants events. `polling`: there is no stream, and pages ask every few seconds. */
export const state = signal<"off" | "connecting" | "live" | "polling">("off")

/** The first wait before the stream is opened again, in milliseconds; it doubles. */
const firstDelayMs = 500
const maxDelayMs = 15_000

/** The server sends a sign of life every 15 seconds. */
const silenceMs = 40_000

/** Characters of one message at most: a longer one is no event. */
const maxMessage = 1_000_000

let current: AbortController | undefined

/** Follows events until the function that it gives is called. Another call takes the place of this one. */
export const follow = (filter: Filter, listener: Listener): () => void => {
  current?.abort()
  const ended = new AbortController()
  current = ended
  void keepOpen(filter, listener, ended.signal)
  return () => {
    ended.abort()
    if (current === ended) {
      current = undefined
      state.value = "off"
    }
  }
}

const keepOpen = async (filter: Filter, listener: Listener, ended: AbortSignal): Promise<void> => {
  let after: string | undefined
  let failures = 0
  while (!ended.aborted) {
    if (document.hidden) await shown(ended)
    if (ended.aborted) return
    if (state.value !== "polling") state.value = "connecting"
    try {
      await read(filter, after, ended, {
        onOpen: () => {
          failures = 0
          state.value = "live"
          listener.onGap()
        },
        onMessages: (messages) => {
          after = messages.findLast(({ id }) => id !== undefined)?.id ?? after
          if (messages.some(({ event }) => event === "gap")) listener.onGap()
          const events = messages.flatMap(({ data, event }) => event === "gap" ? [] : [JSON.parse(data) as TaskEvent])
          if (events.length > 0) listener.onEvents(events)
        }
      })
    } catch {
      // Whatever it was, the next try tells
    }
    if (ended.aborted || isLockedOut.value) return
    if (document.hidden) continue
    state.value = "polling"
    await pause(Math.min(maxDelayMs, firstDelayMs * 2 ** failures++) * (0.5 + Math.random() / 2), ended)
  }
}

interface Message {
  readonly id: string | undefined
  readonly event: string
  readonly data: string
}

/** Reads one stream until it ends, fails, is silent for too long, or the tab goes into the background. */
const read = async (
  filter: Filter,
  after: string | undefined,
  ended: AbortSignal,
  { onMessages, onOpen }: { readonly onOpen: () => void; readonly onMessages: (all: ReadonlyArray<Message>) => void }
): Promise<void> => {
  const broken = new AbortController()
  const watch = () => setTimeout(() => broken.abort(), silenceMs)
  let watchdog = watch()
  const onHidden = () => {
    if (document.hidden) broken.abort()
  }
  document.addEventListener("visibilitychange", onHidden)
  try {
    const response = await fetch(
      address("api/v1/events", { type: filter.type, queue: filter.queue, task: filter.task }),
      {
        cache: "no-store",
        headers: { ...credentials(), ...after === undefined ? {} : { "last-event-id": after } },
        signal: AbortSignal.any([ended, broken.signal])
      }
    )
    if (response.status === 401) isLockedOut.value = true
    if (!response.ok || response.body === null) throw new Error(`The stream was refused: ${response.status}`)
    if (response.headers.get("content-type")?.startsWith("text/event-stream") !== true) throw new Error("No stream")
    onOpen()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ""
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      clearTimeout(watchdog)
      watchdog = watch()
      const blocks = (rest + value).split("\n\n")
      rest = blocks.pop() ?? ""
      if (rest.length > maxMessage) throw new Error("No end of a message")
      const messages = blocks.flatMap(messageOf)
      if (messages.length > 0) onMessages(messages)
    }
  } finally {
    clearTimeout(watchdog)
    document.removeEventListener("visibilitychange", onHidden)
    broken.abort()
  }
}

/** A message of its lines; comments are none. */
const messageOf = (block: string): ReadonlyArray<Message> => {
  const fields: Record<string, string> = {}
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":")
    if (colon <= 0) continue
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).replace(/^ /, "")
    fields[name] = fields[name] === undefined ? value : `${fields[name]}\n${value}`
  }
  const { data, event, id } = fields
  return data === undefined ? [] : [{ id, event: event ?? "message", data }]
}

/** Waits until the tab is seen. */
const shown = (ended: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !ended.aborted) return
      document.removeEventListener("visibilitychange", look)
      resolve()
    }
    document.addEventListener("visibilitychange", look)
    ended.addEventListener("abort", look, { once: true })
    look()
  })

/** Waits, until the network is back at most. */
const pause = (ms: number, ended: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer)
      removeEventListener("online", go)
      ended.removeEventListener("abort", go)
      resolve()
    }
    const timer = setTimeout(go, ms)
    addEventListener("online", go)
    ended.addEventListener("abort", go)
  })
