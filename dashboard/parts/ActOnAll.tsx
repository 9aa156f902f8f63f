/** Does something to all tasks that match: shows which first, asks why, and follows what comes of it. */
import { useSignal } from "@preact/signals"
import { useEffect, useRef } from "preact/hooks"
import * as Ids from "../Ids.ts"
import { call, wordsOf } from "../Requests.ts"
import { may } from "../Session.ts"
import * as Terms from "../Terms.ts"
import * as Texts from "../Texts.ts"
import type { Operation, OperationPreview, State } from "../Wire.ts"
import { Dialog } from "./Dialog.tsx"
import { done, follow } from "./Following.tsx"

type Action = Operation["action"]

const actions: ReadonlyArray<
  { readonly action: Action; readonly name: string; readonly states: ReadonlyArray<State> }
> = [
  { action: "cancel", name: "Cancel", states: ["scheduled", "pending", "running"] },
  { action: "rerun", name: "Run again", states: ["failed", "cancelled", "expired"] },
  { action: "discard", name: "Remove", states: ["completed", "failed", "cancelled", "expired"] },
  { action: "reschedule", name: "Change priority or time", states: ["scheduled", "pending"] }
]

/** What can be done to tasks of this query, with the states that it is done to. */
const possible = (query: Terms.Query) => {
  const chosen = Terms.statesOf(query)
  return actions.map(({ states, ...action }) => ({
    ...action,
    states: states.filter((state) => chosen.includes(state))
  }))
    .filter(({ states }) => states.length > 0)
}

/** The button, and its question. */
export const ActOnAll = ({ query }: { readonly query: Terms.Query }) => {
  const isAsked = useSignal(false)
  if (!may("write") || !Terms.isFiltered(query) || possible(query).length === 0) return null
  return (
    <>
      <button
        type="button"
        onClick={() => {
          isAsked.value = true
        }}
      >
        Act on all that match …
      </button>
      {isAsked.value && (
        <Question
          query={query}
          onClose={() => {
            isAsked.value = false
          }}
        />
      )}
    </>
  )
}

/** How fast, when nothing is said. */
const defaultRate = 100

const Question = ({ onClose, query }: { readonly query: Terms.Query; readonly onClose: () => void }) => {
  const choices = possible(query)
  const action = useSignal<Action>(choices[0]!.action)
  const why = useSignal("")
  const rate = useSignal(String(defaultRate))
  const priority = useSignal("")
  const delay = useSignal("")
  const preview = useSignal<OperationPreview | undefined>(undefined)
  const problem = useSignal("")
  const id = useRef(Ids.make())
  const { name, states } = choices.find((one) => one.action === action.value) ?? choices[0]!
  const filter = { ...Terms.bodyOf(query), status: states }
  const change = {
    ...priority.value === "" ? {} : { priority: Number(priority.value) },
    ...delay.value.trim() === "" ? {} : { delay: delay.value.trim() }
  }
  const isMoving = action.value === "reschedule"

  useEffect(() => {
    const ended = new AbortController()
    preview.value = undefined
    problem.value = ""
    // What is changed does not decide which tasks are meant
    const wanted = { action: action.value, filter, ...isMoving && { change: { priority: 1 } } }
    const look = async () => {
      try {
        preview.value = await call<OperationPreview>("POST", "api/v1/operations/preview", wanted, ended.signal)
      } catch (error) {
        if (!ended.signal.aborted) problem.value = wordsOf(error)
      }
    }
    void look()
    return () => ended.abort()
  }, [action.value])

  const found = preview.value
  return (
    <Dialog
      title="Act on all that match"
      verb={found === undefined ? name : `${name}: ${countText(found)}`}
      isDangerous={action.value === "cancel" || action.value === "discard"}
      onClose={onClose}
      act={async () => {
        if (found === undefined) throw new Error("It is not known yet which tasks these are.")
        if (found.count === 0 && found.complete) throw new Error("No task matches.")
        if (why.value.trim() === "") throw new Error("Say why: it is kept for those who ask later.")
        if (isMoving && Object.keys(change).length === 0) throw new Error("Nothing is changed yet.")
        follow(
          await call<Operation>("POST", "api/v1/operations", {
            id: id.current,
            action: action.value,
            filter,
            why: why.value.trim(),
            rate: Number(rate.value),
            ...isMoving && { change }
          })
        )
      }}
    >
      <fieldset class="options">
        <legend class="hidden">What is done</legend>
        {choices.map((choice) => (
          <label key={choice.action} class="check">
            <input
              type="radio"
              name="action"
              checked={choice.action === action.value}
              onChange={() => {
                action.value = choice.action
              }}
            />
            {choice.name}
          </label>
        ))}
      </fieldset>
      {isMoving && (
        <div class="field-row">
          <label class="field">
            Priority
            <select
              value={priority.value}
              onChange={(event) => {
                priority.value = event.currentTarget.value
              }}
            >
              <option value="">as it is</option>
              {[0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((value) => (
                <option key={value} value={String(value)}>{Texts.priority(value)}</option>
              ))}
            </select>
          </label>
          <label class="field">
            Due in
            <input
              placeholder="as it is; 0ms is now, or 5m"
              value={delay.value}
              spellcheck={false}
              onInput={(event) => {
                delay.value = event.currentTarget.value
              }}
            />
          </label>
        </div>
      )}
      <Which found={found} problem={problem.value} action={action.value} />
      <label class="field">
        Why
        <input
          value={why.value}
          maxLength={1000}
          placeholder="What others should know"
          onInput={(event) => {
            why.value = event.currentTarget.value
          }}
        />
      </label>
      <label class="field field-short">
        Tasks in a second at most
        <input
          type="number"
          min={1}
          max={10_000}
          required
          value={rate.value}
          onInput={(event) => {
            rate.value = event.currentTarget.value
          }}
        />
      </label>
    </Dialog>
  )
}

const countText = ({ complete, count }: OperationPreview): string =>
  `${complete ? "" : "at least "}${Texts.counted(count, "task")}`

/** Tasks of the sample that are shown. */
const maxShown = 5

const Which = ({ action, found, problem }: {
  readonly found: OperationPreview | undefined
  readonly problem: string
  readonly action: Action
}) => {
  if (problem !== "") return <p class="trouble" role="alert">{problem}</p>
  if (found === undefined) return <p class="soft" role="status">Counting …</p>
  const { can_undo, complete, count, looked, sample } = found
  return (
    <div class="which" role="status">
      <p>
        <b>{countText(found)}</b> would be {done[action]}.{" "}
        {can_undo ? "This can be taken back for a day." : <strong>This cannot be taken back.</strong>}
      </p>
      {!complete && <p class="soft">{Texts.count(looked)} were looked at; there are others.</p>}
      {sample.length > 0 && (
        <ul>
          {sample.slice(0, maxShown).map((task) => (
            <li key={task.id}>
              <b>{task.type}</b> <code>{task.id}</code>
            </li>
          ))}
          {count > maxShown && <li class="soft">and others</li>}
        </ul>
      )}
    </div>
  )
}
