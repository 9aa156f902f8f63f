/** What is around every page: where to go, how the connection is, whose clock is shown, and who looks. */
import { effect } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import * as Keys from "./Keys.ts"
import * as Live from "./Live.ts"
import { Enqueue } from "./pages/Enqueue.tsx"
import { Errors } from "./pages/Errors.tsx"
import { Instances } from "./pages/Instances.tsx"
import { Limits } from "./pages/Limits.tsx"
import { Login } from "./pages/Login.tsx"
import { Operations } from "./pages/Operations.tsx"
import { Overview } from "./pages/Overview.tsx"
import { Queues } from "./pages/Queues.tsx"
import { Schedules } from "./pages/Schedules.tsx"
import { Task } from "./pages/Task.tsx"
import { Tasks } from "./pages/Tasks.tsx"
import { Following } from "./parts/Following.tsx"
import { Icon, type IconName } from "./parts/Icon.tsx"
import { KeyList } from "./parts/KeyList.tsx"
import { Notices } from "./parts/Notices.tsx"
import { Palette } from "./parts/Palette.tsx"
import { now } from "./parts/Time.tsx"
import { learnMe, silentSince } from "./Requests.ts"
import { link, place } from "./Router.ts"
import { isLockedOut, key, me, serverNow, signOut } from "./Session.ts"
import * as Texts from "./Texts.ts"
import { theme, turn } from "./Theme.ts"

interface Page {
  readonly path: string
  readonly name: string
  readonly icon: IconName
}

const pages: ReadonlyArray<Page> = [
  { path: "overview", name: "Overview", icon: "overview" },
  { path: "tasks", name: "Tasks", icon: "tasks" },
  { path: "errors", name: "Errors", icon: "errors" },
  { path: "queues", name: "Queues", icon: "queues" },
  { path: "schedules", name: "Schedules", icon: "schedules" },
  { path: "limits", name: "Limits", icon: "limits" },
  { path: "instances", name: "Instances", icon: "instances" },
  { path: "operations", name: "Operations", icon: "operations" }
]

/** How often the server is asked who the caller is: its clock, and a new version, show then. */
const introductionMs = 60_000

/** The whole page. */
export const Shell = () => {
  useEffect(() => {
    const stop = effect(() => {
      // Again with each key
      void key.value
      void learnMe()
    })
    const timer = setInterval(() => {
      if (!document.hidden) void learnMe()
    }, introductionMs)
    return () => {
      stop()
      clearInterval(timer)
    }
  }, [])
  useEffect(() => Keys.listen(), [])
  const current = place.value.path[0] ?? pages[0]!.path
  // On a phone the links to the pages are a row that scrolls: the one that is shown is seen
  const links = useRef<HTMLElement>(null)
  useEffect(() => {
    const shown = links.current?.querySelector("[aria-current]")
    if (shown instanceof HTMLElement) {
      links.current!.scrollLeft = shown.offsetLeft - (links.current!.clientWidth - shown.clientWidth) / 2
    }
  }, [current, isLockedOut.value])
  return (
    <div class="shell">
      <a class="skip" href="#main" onClick={focusMain}>Skip to the content</a>
      <header class="side">
        <a class="brand" href={link([])}>
          <span class="brand-mark" aria-hidden="true" />TaskForge
        </a>
        {!isLockedOut.value && (
          <nav ref={links} aria-label="Pages">
            {pages.map(({ icon, name, path }) => (
              <a key={path} href={link([path])} aria-current={path === current ? "page" : undefined}>
                <Icon name={icon} />
                <span>{name}</span>
              </a>
            ))}
          </nav>
        )}
        <Foot />
      </header>
      <main id="main" tabIndex={-1}>
        <Silence />
        {!isLockedOut.value && current !== "operations" && <Following />}
        {isLockedOut.value ? <Login /> : <Content key={key.value ?? ""} />}
      </main>
      <Notices />
      {Keys.open.value === "palette" && <Palette pages={pages} />}
      {Keys.open.value === "keys" && <KeyList pages={pages} />}
    </div>
  )
}

const focusMain = (event: Event): void => {
  event.preventDefault()
  document.getElementById("main")?.focus()
}

const Content = () => {
  const { path: [page, id], query } = place.value
  useTitle(id ?? page)
  switch (page ?? "overview") {
    case "overview":
      return <Overview />
    case "tasks":
      return id === undefined ? <Tasks query={query} /> : <Task key={id} id={id} />
    case "enqueue":
      return <Enqueue query={query} />
    case "errors":
      return <Errors />
    case "queues":
      return <Queues />
    case "schedules":
      return <Schedules />
    case "limits":
      return <Limits />
    case "instances":
      return <Instances />
    case "operations":
      return <Operations query={query} />
  }
  return (
    <div class="empty">
      <h1>There is no such page</h1>
      <p>
        <a href={link([])}>To the first page</a>
      </p>
    </div>
  )
}

/** Names the page in the browser's tab, and moves the focus to its beginning when another one is shown. */
const useTitle = (name: string | undefined): void => {
  const isFirst = useRef(true)
  useEffect(() => {
    document.title = name === undefined ? "TaskForge" : `${name} · TaskForge`
    if (!isFirst.current) {
      scrollTo(0, 0)
      const main = document.getElementById("main")
      // What a key has led to on the new page keeps the focus
      if (main?.contains(document.activeElement) !== true) main?.focus({ preventScroll: true })
    }
    isFirst.current = false
  }, [name])
}

/** How long that is, by the browser's clock; it moves with the server's. */
const silence = (since: number): number => now.value - serverNow() + Date.now() - since

/** Says since when the server is silent. What is on the page is as old. */
const Silence = () =>
  silentSince.value === undefined
    ? null
    : (
      <div class="trouble-box" role="alert">
        <Icon name="alert" />
        <span>
          The server has not answered for{" "}
          {Texts.duration(silence(silentSince.value))}. What you see is from before; the page tries again by itself.
        </span>
      </div>
    )

const connection = (): { readonly kind: string; readonly text: string; readonly title: string } => {
  if (silentSince.value !== undefined) {
    return { kind: "lost", text: "No connection", title: "The server does not answer" }
  }
  switch (Live.state.value) {
    case "live":
      return { kind: "live", text: "Live", title: "Changes are shown as they happen" }
    case "polling":
      return {
        kind: "polling",
        text: "Every 3 s",
        title: "The stream of events is not open: the page asks every 3 seconds"
      }
    case "connecting":
      return { kind: "polling", text: "Connecting", title: "The stream of events is being opened" }
    default:
      return { kind: "live", text: "Connected", title: "The server answers" }
  }
}

const themes = { system: "as the system has it", light: "light", dark: "dark" } as const

const Foot = () => {
  const { kind, text, title } = connection()
  return (
    <div class="foot">
      <p class={`connection connection-${kind}`} title={title} role="status">
        <i aria-hidden="true" />
        {text}
      </p>
      <p class="server-clock" title={`The server's clock, in its zone ${Texts.zoneName()}`}>
        <span class="number">{Texts.clock(now.value)}</span> <span class="zone">{Texts.zoneName()}</span>
      </p>
      {me.value !== undefined && (
        <p class="who">
          {me.value.key === null ? `TaskForge ${me.value.version}` : `${me.value.key} · ${me.value.role}`}
        </p>
      )}
      <div class="foot-buttons">
        {!isLockedOut.value && (
          <button
            type="button"
            class="icon-button"
            title="Commands: Ctrl+K. Keys: ?"
            aria-label="Commands"
            aria-keyshortcuts="Control+K"
            onClick={() => {
              Keys.open.value = "palette"
            }}
          >
            <Icon name="keyboard" />
          </button>
        )}
        <button
          type="button"
          class="icon-button"
          title={`Colours: ${themes[theme.value]}`}
          aria-label={`Colours: ${themes[theme.value]}. Change them`}
          onClick={turn}
        >
          <Icon name={theme.value} />
        </button>
        {key.value !== undefined && !isLockedOut.value && (
          <button type="button" class="icon-button" title="Sign out" aria-label="Sign out" onClick={signOut}>
            <Icon name="leave" />
          </button>
        )}
      </div>
    </div>
  )
}
