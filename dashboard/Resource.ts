/** What a page has loaded, and keeps up to date: at once when told, every few seconds where nobody tells. */
import { type ReadonlySignal, useSignal } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import * as Live from "./Live.ts"
import { isLockedOut } from "./Session.ts"

/** Loaded data. While it cannot be loaded again, the old stays, with the error. */
export interface Resource<A> {
  readonly data: ReadonlySignal<A | undefined>
  readonly error: ReadonlySignal<unknown>
  /** Loads again, soon: many calls are one. */
  readonly refresh: () => void
}

/** How often it is loaded again, in milliseconds. */
export interface Options {
  /** While the stream of events is not open. Default 3000. */
  readonly polling?: number | undefined
  /** While it is; by default never, since events tell. */
  readonly live?: number | undefined
}

/** Between two loads, in milliseconds. */
const restMs = 600

/** Loads what belongs to `name`: another name is something else, whose data is not known yet. */
export const useResource = <A>(
  name: string,
  load: (ended: AbortSignal) => Promise<A>,
  { live, polling = 3000 }: Options = {}
): Resource<A> => {
  const data = useSignal<A | undefined>(undefined)
  const error = useSignal<unknown>(undefined)
  const latest = useRef(load)
  latest.current = load
  const refresh = useRef<() => void>(() => {})

  useEffect(() => {
    const ended = new AbortController()
    let timer: ReturnType<typeof setTimeout> | undefined
    let isLoading = false
    let isWanted = false
    let dueAt = 0
    data.value = undefined
    error.value = undefined

    const run = async () => {
      isLoading = true
      isWanted = false
      try {
        const found = await latest.current(ended.signal)
        if (ended.signal.aborted) return
        data.value = found
        error.value = undefined
      } catch (problem) {
        if (ended.signal.aborted) return
        error.value = problem
      }
      isLoading = false
      dueAt = Date.now() + restMs
      if (isWanted) soon()
      else again()
    }
    const soon = () => {
      clearTimeout(timer)
      timer = setTimeout(run, Math.max(0, dueAt - Date.now()))
    }
    const again = () => {
      clearTimeout(timer)
      const every = Live.state.value === "live" ? live : polling
      if (every === undefined || isLockedOut.value) return
      timer = setTimeout(() => {
        if (document.hidden) again()
        else void run()
      }, every)
    }
    refresh.current = () => {
      if (ended.signal.aborted) return
      isWanted = true
      if (!isLoading) soon()
    }
    const onVisible = () => {
      if (!document.hidden) refresh.current()
    }
    const stopWatching = Live.state.subscribe(() => {
      if (!isLoading && !isWanted) again()
    })
    document.addEventListener("visibilitychange", onVisible)
    void run()
    return () => {
      ended.abort()
      clearTimeout(timer)
      stopWatching()
      document.removeEventListener("visibilitychange", onVisible)
    }
  }, [name])

  return { data, error, refresh: () => refresh.current() }
}
