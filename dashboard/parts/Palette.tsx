/** Finds any page, task or action by a part of its name: the command palette. */
import { useComputed, useSignal } from "@preact/signals"
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks"
import { open } from "../Keys.ts"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { go, link } from "../Router.ts"
import { key, may, signOut } from "../Session.ts"
import * as Terms from "../Terms.ts"
import { turn } from "../Theme.ts"
import type { DefinitionList } from "../Wire.ts"
import { states } from "../Wire.ts"
import { Icon, type IconName } from "./Icon.tsx"

/** What can be chosen. */
interface Command {
  readonly name: string
  readonly icon: IconName
  /** Where it belongs: said behind the name. */
  readonly group: string
  readonly act: () => void
}

/** A page of the dashboard. */
interface Page {
  readonly path: string
  readonly name: string
  readonly icon: IconName
}

/** Commands that are shown at most. */
const maxShown = 12

/** Characters that are looked for at most. */
const maxLength = 500

/** The palette. */
export const Palette = ({ pages }: { readonly pages: ReadonlyArray<Page> }) => {
  const dialog = useRef<HTMLDialogElement>(null)
  const text = useSignal("")
  const chosen = useSignal(0)
  const list = useId()
  const definitions = useResource("definitions", (ended) => get<DefinitionList>("api/v1/definitions", ended), {
    polling: 60_000
  })
  // Those of the page as it was when the palette was opened
  const [own] = useState(buttonsOfPage)
  // Before the next key is pressed: what is typed right away belongs here
  useLayoutEffect(() => {
    dialog.current?.showModal()
  }, [])

  const all = useComputed((): ReadonlyArray<Command> => [
    ...own,
    ...pages.map(({ icon, name, path }) => ({ name, icon, group: "page", act: () => go(link([path])) })),
    ...may("write")
      ? [{ name: "New task", icon: "enqueue" as const, group: "page", act: () => go(link(["enqueue"])) }]
      : [],
    ...states.map((state) => ({
      name: `Tasks that are ${state}`,
      icon: "tasks" as const,
      group: "tasks",
      act: () => go(link(["tasks"], { status: state }))
    })),
    ...may("write")
      ? definitions.data.value?.definitions.map(({ type }) => ({
        name: `New task: ${type}`,
        icon: "enqueue" as const,
        group: "type",
        act: () => go(link(["enqueue"], { type }))
      })) ?? []
      : [],
    { name: "Show the keys", icon: "keyboard", group: "help", act: showKeys },
    { name: "Change the colours", icon: "dark", group: "page", act: turn },
    ...key.value === undefined ? [] : [{ name: "Sign out", icon: "leave" as const, group: "page", act: signOut }]
  ])
  const wanted = text.value.trim()
  const found = [...matching(all.value, wanted).slice(0, maxShown), ...byText(wanted)]
  const current = found[Math.min(chosen.value, found.length - 1)]

  const run = (command: Command | undefined) => {
    if (command === undefined) return
    // The dialog gives the focus back first
    dialog.current?.close()
    command.act()
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0
    if (by !== 0) {
      event.preventDefault()
      chosen.value = (Math.min(chosen.value, found.length - 1) + by + found.length) % found.length
      document.getElementById(`${list}-${chosen.value}`)?.scrollIntoView({ block: "nearest" })
    } else if (event.key === "Enter") {
      event.preventDefault()
      run(current)
    }
  }
  return (
    <dialog
      ref={dialog}
      class="dialog palette"
      aria-label="Commands"
      onClose={() => {
        if (open.value === "palette") open.value = undefined
      }}
      onClick={(event) => {
        if (event.target === dialog.current) dialog.current?.close()
      }}
    >
      <div class="palette-bar">
        <Icon name="search" size={16} />
        <input
          role="combobox"
          aria-label="Find a command"
          aria-expanded={found.length > 0}
          aria-controls={list}
          aria-autocomplete="list"
          aria-activedescendant={current === undefined ? undefined : `${list}-${found.indexOf(current)}`}
          placeholder="A page, an action, a type, the id of a task, or a search"
          spellcheck={false}
          autocomplete="off"
          maxLength={maxLength}
          value={text.value}
          onInput={({ currentTarget }) => {
            text.value = currentTarget.value
            chosen.value = 0
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <ul id={list} role="listbox" tabIndex={-1} aria-label="Commands">
        {found.map((command, index) => (
          <li
            key={`${command.group} ${command.name}`}
            id={`${list}-${index}`}
            role="option"
            aria-selected={command === current}
            onMouseDown={(event) => {
              event.preventDefault()
              run(command)
            }}
          >
            <Icon name={command.icon} size={16} />
            <span>{command.name}</span>
            <small>{command.group}</small>
          </li>
        ))}
      </ul>
    </dialog>
  )
}

const showKeys = () => {
  open.value = "keys"
}

/** The buttons at the head of the page that can be pressed, by what they say. */
const buttonsByName = (): ReadonlyMap<string, HTMLElement> =>
  new Map(
    [...document.querySelectorAll<HTMLElement>("main .page-head button, main .page-head a.button")]
      .filter((button) => !(button instanceof HTMLButtonElement && button.disabled))
      .map((button) => [button.textContent?.trim() ?? "", button])
  )

/** What they do, as commands. Looked for again when it is done: the page may have been drawn anew since the commands were listed. */
const buttonsOfPage = (): ReadonlyArray<Command> =>
  [...buttonsByName().keys()]
    // that one has a command of its own
    .filter((name) => name !== "" && name !== "New task")
    .map((name) => ({ name, icon: "next", group: "on this page", act: () => buttonsByName().get(name)?.click() }))

/** Those whose names have all words, the ones that begin with the text first. */
const matching = (commands: ReadonlyArray<Command>, text: string): ReadonlyArray<Command> => {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "")
  const rank = (name: string): number =>
    name.startsWith(text.toLowerCase()) ? 0 : name.split(/[\s:_]+/).some((word) => word.startsWith(words[0]!)) ? 1 : 2
  if (words.length === 0) return commands
  return commands
    .filter(({ name }) => words.every((word) => name.toLowerCase().includes(word)))
    .map((command) => [rank(command.name.toLowerCase()), command] as const)
    .sort(([a], [b]) => a - b)
    .map(([, command]) => command)
}

/** What the text may be by itself: the id of a task, or a search. */
const byText = (text: string): ReadonlyArray<Command> => {
  if (text === "") return []
  const { problem, query } = Terms.parse(text)
  if (problem !== undefined) return []
  const { id, ...rest } = query
  return id === undefined
    ? [{ name: `Search tasks: ${text}`, icon: "search", group: "tasks", act: () => go(link(["tasks"], rest)) }]
    : text === id
    ? [{ name: `Open the task ${id}`, icon: "tasks", group: "tasks", act: () => go(link(["tasks", id])) }]
    : []
}
