/** What was done to many tasks at once: by whom, why, to which, and what can be taken back. */
import { useSignal } from "@preact/signals"
import { Dialog } from "../parts/Dialog.tsx"
import { Empty } from "../parts/Empty.tsx"
import { change, isGoingOn, sentence } from "../parts/Following.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { Ago } from "../parts/Time.tsx"
import { address, get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { link } from "../Router.ts"
import { may } from "../Session.ts"
import * as Terms from "../Terms.ts"
import * as Texts from "../Texts.ts"
import type { Operation, OperationPage } from "../Wire.ts"

/** Operations on a page. */
const pageSize = 50

const names: Readonly<Record<Operation["action"], string>> = {
  cancel: "Cancel",
  rerun: "Run again",
  discard: "Remove",
  reschedule: "Change"
}

/** The page. */
export const Operations = ({ query }: { readonly query: { readonly cursor?: string | undefined } }) => {
  const path = address("api/v1/operations", { cursor: query.cursor, limit: pageSize })
  const found = useResource(path, (ended) => get<OperationPage>(path, ended), { live: 1000, polling: 2000 })
  return (
    <div class="page">
      <div class="page-head">
        <h1>Operations</h1>
      </div>
      <Loaded resource={found}>
        {({ next, operations }) =>
          operations.length === 0
            ? (
              <Empty icon="operations" title="Nothing was done to many tasks at once">
                <p>
                  Filter{" "}
                  <a href={link(["tasks"])}>the tasks</a>, and act on all that match: it is previewed first, and kept
                  here with who did it and why.
                </p>
              </Empty>
            )
            : (
              <>
                <ul class="operations">
                  {operations.map((operation) => (
                    <One key={operation.id} operation={operation} onChanged={found.refresh} />
                  ))}
                </ul>
                {next !== null && (
                  <nav class="pages" aria-label="Pages of the list">
                    <span />
                    <a class="button" href={link(["operations"], { cursor: next })}>Older</a>
                  </nav>
                )}
              </>
            )}
      </Loaded>
    </div>
  )
}

const One = ({ onChanged, operation }: { readonly operation: Operation; readonly onChanged: () => void }) => {
  const asked = useSignal<"abort" | "undo" | undefined>(undefined)
  const { aborted, action, by, created_at, expected, filter, matched, max, rate, undo, undone, why } = operation
  const total = Math.max(1, Math.min(expected, max ?? expected))
  const verb = asked.value
  return (
    <li class="card operation">
      <div class="card-head">
        <h2>
          {names[action]}
          {operation.name !== null && <small>{operation.name}</small>}
        </h2>
        <div class="buttons">
          {may("write") && operation.status === "running" && (
            <button
              type="button"
              aria-label={`Abort: ${why}`}
              onClick={() => {
                asked.value = "abort"
              }}
            >
              Abort …
            </button>
          )}
          {may("write") && !isGoingOn(operation) && undo !== null && (
            <button
              type="button"
              aria-label={`Undo: ${why}`}
              onClick={() => {
                asked.value = "undo"
              }}
            >
              Undo …
            </button>
          )}
        </div>
      </div>
      <p class="operation-why">{why}</p>
      <p>
        {sentence(operation)}{" "}
        {operation.status === "running" && (
          <progress max={total} value={Math.min(total, matched)} aria-label="How far it is" />
        )}
      </p>
      <p class="soft operation-facts">
        <span>
          <Ago at={created_at} />
          {by === null ? "" : ` by ${by}`}
        </span>
        {aborted !== null && <span>aborted{aborted.by === null ? "" : ` by ${aborted.by}`}</span>}
        {undone !== null && <span>taken back{undone.by === null ? "" : ` by ${undone.by}`}</span>}
        <span>{Texts.counted(rate, "task")} a second at most</span>
        <a href={link(["tasks"], Terms.queryOf(filter))}>
          <code>{Terms.textOf(Terms.queryOf(filter))}</code>
        </a>
      </p>
      {verb !== undefined && (
        <Dialog
          title={verb === "abort" ? "Abort this operation?" : "Take this operation back?"}
          verb={verb === "abort" ? "Abort it" : "Take it back"}
          onClose={() => {
            asked.value = undefined
          }}
          act={async () => {
            await change(operation, verb)
            onChanged()
          }}
        >
          <p>
            {verb === "abort"
              ? "What it has done stays done."
              : `Of ${
                Texts.counted(undo?.tasks ?? 0, "task")
              }, those that are still cancelled and have not run since wait as before.`}
          </p>
        </Dialog>
      )}
    </li>
  )
}
