/** The breakers in front of what tasks need: how they stand, and why. They are opened and closed here. */
import { useSignal } from "@preact/signals"
import { address, call } from "../Requests.ts"
import { link } from "../Router.ts"
import { may } from "../Session.ts"
import * as Texts from "../Texts.ts"
import type { BreakerPage } from "../Wire.ts"
import { Dialog } from "./Dialog.tsx"
import { notify } from "./Notices.tsx"
import { Ago } from "./Time.tsx"

type Breaker = BreakerPage["breakers"][number]

/** The list. */
export const BreakerList = ({ breakers, onChanged }: {
  readonly breakers: ReadonlyArray<Breaker>
  readonly onChanged: () => void
}) => (
  <section class="card">
    <h2>Breakers</h2>
    <ul class="breakers">
      {breakers.map(({ is_keyed: isKeyed, keys, name, state }) => (
        <li key={name}>
          <div class="card-head">
            <h3>
              {name} <span class={`mark breaker-${state}`}>{state.replace("_", " ")}</span>
            </h3>
            {may("admin") && !isKeyed && state === "closed" && <Open name={name} onChanged={onChanged} />}
          </div>
          {keys.map((key) => (
            <div key={key.key} class="card-head breaker-key">
              <p class="soft">
                {key.key !== "" && <code>{key.key}</code>} <Standing of={key} />
              </p>
              {may("admin") && key.state !== "closed" && <Close name={name} of={key} onChanged={onChanged} />}
            </div>
          ))}
        </li>
      ))}
    </ul>
  </section>
)

const Standing = (
  { of: { by, failures, last_failure: last, reason, until } }: { readonly of: Breaker["keys"][number] }
) => (
  <>
    {until === null
      ? `${Texts.counted(failures, "failure")} lately.`
      : (
        <>
          No task starts{by !== null && `, says ${by}`}
          {reason !== null && `: ${reason}`}. One tries <Ago at={until} />.
        </>
      )}
    {last !== null && (
      <>
        {" "}The last failure, <Ago at={last.at} />: <span class="error-text">{last.message}</span>{" "}
        <a href={link(["tasks", last.task])}>its task</a>
      </>
    )}
  </>
)

const Open = ({ name, onChanged }: { readonly name: string; readonly onChanged: () => void }) => {
  const isAsked = useSignal(false)
  const reason = useSignal("")
  const lasting = useSignal("1h")
  return (
    <>
      <button
        type="button"
        aria-label={`Open the breaker ${name}`}
        onClick={() => {
          isAsked.value = true
        }}
      >
        Open …
      </button>
      {isAsked.value && (
        <Dialog
          title={`Open the breaker ${name}?`}
          verb="Open it"
          onClose={() => {
            isAsked.value = false
          }}
          act={async () => {
            const text = reason.value.trim()
            const given = { for: lasting.value.trim(), ...text !== "" && { reason: text } }
            await call("PUT", `api/v1/breakers/${encodeURIComponent(name)}`, given)
            notify("good", `The breaker ${name} is open`)
            onChanged()
          }}
        >
          <p>No task that needs it starts until the time has passed. Running tasks go on, and then one task tries.</p>
          <label class="field field-short">
            For
            <input
              value={lasting.value}
              onInput={({ currentTarget }) => {
                lasting.value = currentTarget.value
              }}
            />
          </label>
          <label class="field">
            Reason
            <input
              value={reason.value}
              placeholder="What others should know"
              onInput={({ currentTarget }) => {
                reason.value = currentTarget.value
              }}
            />
          </label>
        </Dialog>
      )}
    </>
  )
}

const Close = ({ name, of: { key }, onChanged }: {
  readonly name: string
  readonly of: Breaker["keys"][number]
  readonly onChanged: () => void
}) => {
  const isAsked = useSignal(false)
  const whole = key === "" ? name : `${name} for ${key}`
  return (
    <>
      <button
        type="button"
        aria-label={`Close the breaker ${whole}`}
        onClick={() => {
          isAsked.value = true
        }}
      >
        Close …
      </button>
      {isAsked.value && (
        <Dialog
          title={`Close the breaker ${whole}?`}
          verb="Close it"
          onClose={() => {
            isAsked.value = false
          }}
          act={async () => {
            await call("DELETE", address(`api/v1/breakers/${encodeURIComponent(name)}`, { key }))
            notify("good", `The breaker ${whole} is closed`)
            onChanged()
          }}
        >
          <p>Tasks start at once. If what they need is still down, they fail, and their failures open it again.</p>
        </Dialog>
      )}
    </>
  )
}
