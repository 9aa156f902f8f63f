/** The search bar: terms with what may come next. Enter shows what they mean, and each search is an address. */
import { useSignal } from "@preact/signals"
import { useEffect, useId, useRef } from "preact/hooks"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { go, link } from "../Router.ts"
import * as Terms from "../Terms.ts"
import type { QueuePage, TypePage } from "../Wire.ts"
import { Icon } from "./Icon.tsx"

const rarely = { live: 30_000, polling: 30_000 }

/** The bar. `/` leads to it from anywhere. */
export const SearchBar = ({ query }: { readonly query: Terms.Query }) => {
  const shown = Terms.textOf(query)
  const text = useSignal(shown)
  const problem = useSignal("")
  const isOpen = useSignal(false)
  const chosen = useSignal(-1)
  const input = useRef<HTMLInputElement>(null)
  const list = useId()
  const types = useResource("types", (ended) => get<TypePage>("api/v1/types?limit=200", ended), rarely)
  const queues = useResource("queues", (ended) => get<QueuePage>("api/v1/queues?limit=200", ended), rarely)
  useEffect(() => {
    text.value = shown
    problem.value = ""
  }, [shown])

  const suggestions = isOpen.value
    ? Terms.suggest(text.value, {
      types: types.data.value?.types.map(({ type }) => type) ?? [],
      queues: queues.data.value?.queues.map(({ queue }) => queue) ?? []
    })
    : []
  const current = suggestions[chosen.value]

  const take = (suggestion: Terms.Suggestion) => {
    text.value = text.value.slice(0, text.value.length - Terms.lastWord(text.value).length) + suggestion.text
    chosen.value = -1
    problem.value = ""
    input.current?.focus()
  }
  const submit = () => {
    const { problem: found, query } = Terms.parse(text.value)
    problem.value = found ?? ""
    if (found !== undefined) return
    isOpen.value = false
    const id = query["id"]
    if (id !== undefined) return go(link(["tasks", id]))
    go(link(["tasks"], query))
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const { length } = suggestions
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault()
      if (!isOpen.value) isOpen.value = true
      else if (length > 0) {
        const down = chosen.value + 1 >= length ? 0 : chosen.value + 1
        chosen.value = event.key === "ArrowDown" ? down : chosen.value <= 0 ? length - 1 : chosen.value - 1
      }
    } else if (event.key === "Escape" && isOpen.value) {
      event.preventDefault()
      isOpen.value = false
      chosen.value = -1
    } else if ((event.key === "Enter" || event.key === "Tab") && current !== undefined) {
      event.preventDefault()
      take(current)
    }
  }
  return (
    <form
      class="search"
      role="search"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
    >
      <Icon name="search" size={16} />
      <input
        ref={input}
        role="combobox"
        aria-label="Search tasks"
        aria-expanded={suggestions.length > 0}
        aria-controls={list}
        aria-autocomplete="list"
        aria-activedescendant={current === undefined ? undefined : `${list}-${chosen.value}`}
        aria-invalid={problem.value !== ""}
        placeholder={"state:failed type:email error:\"refused\", or an id"}
        title="/ leads here"
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value
          isOpen.value = true
          chosen.value = -1
          problem.value = ""
        }}
        onFocus={() => {
          isOpen.value = true
        }}
        onBlur={() => {
          isOpen.value = false
          chosen.value = -1
        }}
        onKeyDown={onKeyDown}
      />
      {/* a list that scrolls takes Tab in some browsers, and closes then: the focus would be nowhere */}
      <ul id={list} role="listbox" tabIndex={-1} aria-label="What may come next" hidden={suggestions.length === 0}>
        {suggestions.map((suggestion, index) => (
          <li
            key={suggestion.text}
            id={`${list}-${index}`}
            role="option"
            aria-selected={index === chosen.value}
            // The bar keeps the focus
            onMouseDown={(event) => {
              event.preventDefault()
              take(suggestion)
            }}
          >
            <code>{suggestion.text}</code>
            {suggestion.hint !== undefined && <span>{suggestion.hint}</span>}
          </li>
        ))}
      </ul>
      {problem.value !== "" && <p class="trouble" role="alert">{problem.value}</p>}
    </form>
  )
}
