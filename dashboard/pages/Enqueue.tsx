/** Makes a task: a form of what its type takes. It may begin with what another task was given. */
import { useSignal } from "@preact/signals"
import { useRef } from "preact/hooks"
import * as Ids from "../Ids.ts"
import { beginning, Draft, type JsonSchema, type Problems, problemsFrom, problemsOf } from "../JsonSchema.ts"
import { Empty } from "../parts/Empty.tsx"
import { Icon } from "../parts/Icon.tsx"
import { Json } from "../parts/Json.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { notify } from "../parts/Notices.tsx"
import { jsonOf, SchemaForm } from "../parts/SchemaForm.tsx"
import { call, get, Refused, Unreachable, wordsOf } from "../Requests.ts"
import { type Resource, useResource } from "../Resource.ts"
import { go, link } from "../Router.ts"
import { may, me } from "../Session.ts"
import * as Texts from "../Texts.ts"
import type { Definition, DefinitionList, Task } from "../Wire.ts"

const once = { polling: 60_000 }

/** The page. `like` in the address is a task whose payload the form begins with. */
export const Enqueue = ({ query: { like, type } }: { readonly query: Readonly<Record<string, string>> }) => {
  const types = useResource("definitions", (ended) => get<DefinitionList>("api/v1/definitions", ended), once)
  return (
    <div class="page enqueue">
      <div class="page-head">
        <h1>{like === undefined ? "New task" : "Copy of a task"}</h1>
      </div>
      {me.value === undefined
        ? <div class="loading" role="status" aria-label="Loading" />
        : may("write")
        ? <Choice types={types} type={type} like={like} />
        : (
          <Empty icon="enqueue" title="This key may not make tasks">
            <p>It has the role read. A key with the role write makes tasks.</p>
          </Empty>
        )}
    </div>
  )
}

const Choice = ({ like, type, types }: {
  readonly types: Resource<DefinitionList>
  readonly type: string | undefined
  readonly like: string | undefined
}) => (
  <Loaded resource={types} lines={3}>
    {({ definitions }) => (
      <>
        <label class="field field-type">
          Type
          <select
            value={type ?? ""}
            onChange={({ currentTarget }) => go(link(["enqueue"], { type: currentTarget.value }))}
          >
            <option value="" disabled>Choose a type</option>
            {type !== undefined && definitions.every((one) => one.type !== type) && <option>{type}</option>}
            {definitions.map((one) => <option key={one.type}>{one.type}</option>)}
          </select>
        </label>
        {type === undefined
          ? (
            <ul class="type-choices">
              {definitions.map(({ description, type }) => (
                <li key={type}>
                  <a href={link(["enqueue"], { type })}>
                    <b>{type}</b>
                    {description !== null && <span>{description}</span>}
                  </a>
                </li>
              ))}
            </ul>
          )
          : <OfType key={`${type} ${like ?? ""}`} type={type} like={like} />}
      </>
    )}
  </Loaded>
)

/** The definition, and the task that is copied. */
interface Found {
  readonly definition: Definition
  readonly like: Task | undefined
}

const OfType = ({ like, type }: { readonly type: string; readonly like: string | undefined }) => {
  const found = useResource<Found>(`${type} ${like ?? ""}`, async (ended) => {
    const [definition, task] = await Promise.all([
      get<Definition>(`api/v1/definitions/${encodeURIComponent(type)}`, ended),
      like === undefined ? undefined : get<Task>(`api/v1/tasks/${encodeURIComponent(like)}`, ended)
    ])
    return { definition, like: task }
  }, once)
  return <Loaded resource={found}>{(ready) => <Form {...ready} />}</Loaded>
}

/** Everything that a request may say besides the payload, as text. */
const options = [
  { name: "queue", label: "Queue" },
  { name: "id", label: "Id", placeholder: "made by the server" },
  { name: "key", label: "Idempotency key", placeholder: "none" },
  { name: "tags", label: "Tags", placeholder: "none; or invoice, eu" },
  { name: "delay", label: "Due in", placeholder: "now; or 5m, 1h30m" },
  { name: "timeout", label: "Time limit of an attempt", placeholder: "as its instance has it" },
  { name: "max_retries", label: "Retries", placeholder: "as its type has it; -1 is no limit" }
] as const

type Option = typeof options[number]["name"] | "priority"

/** A description is written with a full stop or without. */
const sentence = (text: string): string => /[.!?…]\s*$/.test(text) ? text : `${text}.`

const Form = ({ definition, like }: Found) => {
  const root: JsonSchema = definition.payload
  const payload = useSignal<unknown>(like === undefined ? beginning(root, root) : like.payload)
  const isJson = useSignal(false)
  const given = useSignal<Partial<Record<Option, string>>>(
    like === undefined ? {} : {
      ...like.queue === definition.queue ? {} : { queue: like.queue },
      ...like.priority === definition.priority ? {} : { priority: String(like.priority) },
      ...like.tags === undefined ? {} : { tags: like.tags.join(", ") }
    }
  )
  const problems = useSignal<Problems>(new Map())
  const refused = useSignal("")
  const isSending = useSignal(false)
  const form = useRef<HTMLFormElement>(null)
  const id = useRef(Ids.make())

  const change = (value: unknown) => {
    payload.value = value
    // What the server said was of another value
    problems.value = problems.value.size === 0 ? problems.value : problemsOf(value, root)
    refused.value = ""
  }
  const body = () => ({
    type: definition.type,
    ...payload.value === undefined ? {} : { payload: payload.value },
    ...definition.version === 1 ? {} : { version: definition.version },
    ...Object.fromEntries(
      Object.entries(given.value).flatMap(([name, text]) => text.trim() === "" ? [] : [[name, valueOf(name, text)]])
    )
  })
  const submit = async (event: Event) => {
    event.preventDefault()
    if (isSending.value) return
    const found = payload.value === undefined ? new Map<string, string>() : problemsOf(payload.value, root)
    problems.value = found
    refused.value = found.size === 0 ? "" : "Nothing is sent yet: see what is marked."
    if (found.size > 0) return leadToFirst(form.current)
    isSending.value = true
    try {
      const chosen = { id: id.current, ...body() }
      const made = await call<Task & { readonly duplicate?: boolean }>("POST", "api/v1/tasks", chosen)
      // The page's own id is known only where an answer was lost
      const isOld = made.duplicate === true && made.id !== id.current
      notify(
        isOld ? "bad" : "good",
        isOld ? "There is such a task already: this one is not enqueued" : "The task is enqueued"
      )
      go(link(["tasks", made.id]))
    } catch (error) {
      const isMarked = error instanceof Refused && error.code === "invalid_payload"
      if (isMarked) problems.value = problemsFrom(issueOf(error))
      // Sent again it is the same task
      refused.value = error instanceof Unreachable ? "No answer came: press it again. It is made once." : wordsOf(error)
      if (isMarked) leadToFirst(form.current)
    }
    isSending.value = false
  }
  const set = (name: Option, text: string) => {
    given.value = { ...given.value, [name]: text }
    refused.value = ""
  }
  return (
    <form ref={form} class="enqueue-form" onSubmit={submit} noValidate>
      {definition.description !== null && <p class="enqueue-about">{sentence(definition.description)}</p>}
      {like !== undefined && (
        <p class="soft">
          The payload is that of <a href={link(["tasks", like.id])}>{like.id}</a>.
          {hasStars(like.payload) && " Passwords and tokens in it are shown as stars: write them anew."}
        </p>
      )}
      <section class="card">
        <div class="card-head">
          <h2>Payload</h2>
          <button
            type="button"
            class="quiet"
            onClick={() => {
              isJson.value = !isJson.value
            }}
          >
            {isJson.value ? "As a form" : "As JSON"}
          </button>
        </div>
        {isJson.value
          ? <AsJson value={payload.value} onChange={change} />
          : (
            <SchemaForm
              schema={root}
              root={root}
              value={payload.value}
              onChange={change}
              problems={problems.value}
              path={[]}
            />
          )}
      </section>
      <details class="card" open={Object.keys(given.value).length > 0}>
        <summary>Queue, priority, time and key</summary>
        <div class="field-grid">
          <label class="field">
            Priority
            <select
              value={given.value.priority ?? ""}
              onChange={({ currentTarget }) => set("priority", currentTarget.value)}
            >
              <option value="">{Texts.priority(definition.priority)}, as its type has it</option>
              {[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((value) => (
                <option key={value} value={String(value)}>{Texts.priority(value)}</option>
              ))}
            </select>
          </label>
          {options.map(({ label, name, ...option }) => (
            <label key={name} class="field">
              {label}
              <input
                placeholder={"placeholder" in option ? option.placeholder : definition.queue}
                spellcheck={false}
                autocomplete="off"
                value={given.value[name] ?? ""}
                onInput={({ currentTarget }) => set(name, currentTarget.value)}
              />
            </label>
          ))}
        </div>
      </details>
      <details class="card">
        <summary>As a request</summary>
        <p class="soft">
          <code>POST {new URL("api/v1/tasks", location.href.split("#")[0]).href}</code>
        </p>
        <Json label="request" value={body()} />
      </details>
      <div class="enqueue-buttons">
        {refused.value !== "" && <p class="trouble" role="alert">{refused.value}</p>}
        <button type="submit" class="primary" disabled={isSending.value}>
          <Icon name="enqueue" size={15} />
          {isSending.value ? "One moment …" : "Enqueue it"}
        </button>
      </div>
    </form>
  )
}

/** Puts the focus on the first field that is marked, once it is. */
const leadToFirst = (form: HTMLFormElement | null): void => {
  requestAnimationFrame(() => form?.querySelector<HTMLElement>(`[aria-invalid="true"]`)?.focus())
}

/** What a request has of it. No tag has a comma. */
const valueOf = (name: string, text: string) =>
  name === "tags"
    ? text.split(",").map((tag) => tag.trim()).filter((tag) => tag !== "")
    : isNumber(name, text)
    ? Number(text)
    : text.trim()

const isNumber = (name: string, text: string): boolean =>
  (name === "priority" || name === "max_retries") && /^\s*-?\d{1,9}\s*$/.test(text)

/** The server's message has the payload's issue behind its first colon. */
const issueOf = ({ message }: Refused): string => /^The payload .*?: ([^]*)$/.exec(message)?.[1] ?? message

/** Whether something in it may have been secret. Bounded: what is nested deeper was not written by people. */
const hasStars = (value: unknown, levels = 8): boolean =>
  typeof value === "string"
    ? value.includes("***") || value === "<redacted>"
    : typeof value === "object" && value !== null && levels > 0 &&
      Object.values(value).some((one) => hasStars(one, levels - 1))

const AsJson = ({ onChange, value }: { readonly value: unknown; readonly onChange: (value: unknown) => void }) => {
  const text = useSignal(
    value instanceof Draft
      ? value.text
      : value === undefined
      ? ""
      : JSON.stringify(value, null, 2)
  )
  return (
    <label class="field">
      <span class="hidden">The payload as JSON</span>
      <textarea
        class="growing code"
        rows={6}
        spellcheck={false}
        placeholder="{}"
        value={text.value}
        onInput={({ currentTarget }) => {
          text.value = currentTarget.value
          onChange(jsonOf(currentTarget.value))
        }}
      />
      <small>A payload that is left out is {"{}"}</small>
    </label>
  )
}
