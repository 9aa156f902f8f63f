/** A limit: what it holds, who set it, how its keys stand now, and what an operator can change about it. */
import { useSignal } from "@preact/signals"
import { call, exact, get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { link } from "../Router.ts"
import { may } from "../Session.ts"
import * as Texts from "../Texts.ts"
import type { Limit, LimitDetail } from "../Wire.ts"
import { Dialog } from "./Dialog.tsx"
import { LimitWaiting } from "./LimitWaiting.tsx"
import { Loaded } from "./Loaded.tsx"
import { notify } from "./Notices.tsx"
import { Paused } from "./PauseButton.tsx"

type Setting = Limit["setting"]

const pathOf = (name: string): string => `api/v1/limits/${encodeURIComponent(name)}`

/** A query with a key. That of a limit without keys is empty, and is said too. */
const ofKey = (key: string | null): string => key === null ? "" : `?key=${encodeURIComponent(exact(key))}`

/** The limit. */
export const LimitCard = ({ limit, onChanged }: { readonly limit: Limit; readonly onChanged: () => void }) => {
  const asked = useSignal<"change" | "reset" | undefined>(undefined)
  const isOpen = useSignal(false)
  const { by, definition, key, name, reason, set_by, setting } = limit
  const close = () => {
    asked.value = undefined
  }
  const label = key === null ? name : `${name} for ${key}`
  return (
    <li class="card limit">
      <div class="card-head">
        <h2>
          {name} {key === null ? null : <code dir="auto">{key}</code>}
        </h2>
        {may("admin") && (
          <div class="buttons">
            {set_by === "operator" && (
              <button
                type="button"
                aria-label={`Reset ${label}`}
                onClick={() => {
                  asked.value = "reset"
                }}
              >
                Reset …
              </button>
            )}
            <button
              type="button"
              aria-label={`Change ${label}`}
              onClick={() => {
                asked.value = "change"
              }}
            >
              Change …
            </button>
          </div>
        )}
      </div>
      <p>
        <b>{words(setting)}</b>{" "}
        <span class="soft">
          set by {set_by === "definition" ? "its type" : by ?? "an operator"}
          {reason === null ? "" : `: ${reason}`}
          {set_by === "operator" && definition !== null && `; its type says ${words(definition)}`}
        </span>
      </p>
      <details
        onToggle={({ currentTarget }) => {
          isOpen.value = currentTarget.open
        }}
      >
        <summary>How it stands now</summary>
        {isOpen.value && <Now name={name} ownKey={key} />}
      </details>
      {asked.value === "change" && <Change limit={limit} label={label} onClose={close} onChanged={onChanged} />}
      {asked.value === "reset" && (
        <Dialog
          title={`Reset ${label}?`}
          verb="Reset it"
          onClose={close}
          act={async () => {
            await call("DELETE", `${pathOf(name)}${ofKey(key)}`)
            notify("good", "What its type says holds again")
            onChanged()
          }}
        >
          <p>
            {key === null
              ? definition === null
                ? "No type that is known says anything about it: it is removed."
                : `What its type says holds again: ${words(definition)}.`
              : "What holds for all keys holds for this one again."}
          </p>
        </Dialog>
      )}
    </li>
  )
}

/** Looks as often as people can follow, in milliseconds. */
const lookEveryMs = 2000

const Now = ({ name, ownKey }: { readonly name: string; readonly ownKey: string | null }) => {
  const key = useSignal("")
  const wanted = ownKey ?? (key.value.trim() === "" ? null : key.value.trim())
  const detail = useResource<LimitDetail>(`${name} ${wanted}`, async (ended) => {
    const found = await get<LimitDetail>(`${pathOf(name)}${ofKey(wanted)}`, ended)
    return found.is_keyed || wanted !== null ? found : get<LimitDetail>(`${pathOf(name)}${ofKey("")}`, ended)
  }, { live: lookEveryMs, polling: lookEveryMs })
  const isKeyed = detail.data.value?.is_keyed !== false
  return (
    <div class="limit-now">
      {ownKey === null && isKeyed && (
        <label class="field field-short">
          Key
          <input
            value={key.value}
            maxLength={255}
            spellcheck={false}
            placeholder="of which you want to know"
            onInput={({ currentTarget }) => {
              key.value = currentTarget.value
            }}
          />
        </label>
      )}
      <Loaded resource={detail} lines={2}>
        {(found) =>
          found.keys.length === 0
            ? (
              <p class="soft">
                No key has a limit of its own, is paused or is blocked. Ask for a key to see how it stands.
              </p>
            )
            : <ul class="limit-keys">{found.keys.map((one) => <Key key={one.key} limit={name} of={one} />)}</ul>}
      </Loaded>
    </div>
  )
}

const Key = ({ limit, of: { blocked_by, holders, key, pause, running, setting, tokens } }: {
  readonly limit: string
  readonly of: LimitDetail["keys"][number]
}) => (
  <li>
    {key !== "" && <code dir="auto">{key}</code>}
    {setting.kind === "concurrency" && (
      <Meter value={running} max={setting.max} text={`${running} of ${setting.max} run`} />
    )}
    {setting.kind === "rate" && tokens !== null && (
      <Meter
        value={tokens}
        max={setting.burst}
        text={`${Texts.decimal(Math.max(0, tokens))} of ${Texts.decimal(setting.burst)} may start now`}
      />
    )}
    {setting.kind !== "concurrency" && running > 0 && <span>{Texts.counted(running, "task")} with it</span>}
    {pause !== null && <Paused pause={pause} />}
    {blocked_by !== null && (
      <span>
        waits for <a href={link(["tasks", blocked_by.id])}>{blocked_by.id}</a>, which is {blocked_by.status}
      </span>
    )}
    {holders.length > 0 && (
      <span class="holders">
        held by {holders.map((id) => (
          <a key={id} href={link(["tasks", id])}>
            <code>{id}</code>
          </a>
        ))}
        {running > holders.length && <span class="soft">and {Texts.count(running - holders.length)} more</span>}
      </span>
    )}
    <LimitWaiting limit={limit} of={key} />
  </li>
)

/** How much of something there is. */
const Meter = ({ max, text, value }: { readonly value: number; readonly max: number; readonly text: string }) => (
  <span class="meter">
    <progress max={1} value={max <= 0 ? 1 : Math.min(1, Math.max(0, value / max))} aria-label={text} />
    <span class="number">{text}</span>
  </span>
)

const Change = ({ label, limit: { key, name, setting }, onChanged, onClose }: {
  readonly limit: Limit
  readonly label: string
  readonly onClose: () => void
  readonly onChanged: () => void
}) => {
  const max = useSignal("max" in setting ? String(setting.max) : "")
  const per = useSignal(setting.kind === "rate" ? written(setting.per_ms) : "")
  const burst = useSignal(setting.kind === "rate" ? String(setting.burst) : "")
  const weight = useSignal(setting.kind === "fair" ? String(setting.weight) : "")
  const onFailure = useSignal(setting.kind === "order" ? setting.on_failure : "block")
  const isLifted = useSignal(setting.kind === "lifted")
  const forKey = useSignal(key ?? "")
  const reason = useSignal("")
  const body = () => ({
    ...isLifted.value ? { lifted: true } : {
      ...max.value === "" ? {} : { max: Number(max.value) },
      ...per.value === "" ? {} : { per: per.value.trim() },
      ...burst.value === "" ? {} : { burst: Number(burst.value) },
      ...weight.value === "" ? {} : { weight: Number(weight.value) },
      ...setting.kind === "order" ? { on_failure: onFailure.value } : {}
    },
    ...reason.value.trim() === "" ? {} : { reason: reason.value.trim() }
  })
  const field = (name: string, signal: typeof max, placeholder = "") => (
    <label class="field">
      {name}
      <input
        value={signal.value}
        spellcheck={false}
        placeholder={placeholder}
        disabled={isLifted.value}
        onInput={({ currentTarget }) => {
          signal.value = currentTarget.value
        }}
      />
    </label>
  )
  return (
    <Dialog
      title={`Change ${label}`}
      verb="Change it"
      onClose={onClose}
      act={async () => {
        await call("PUT", `${pathOf(name)}${ofKey(forKey.value.trim() === "" ? null : forKey.value.trim())}`, body())
        notify("good", "The limit is changed, on all instances")
        onChanged()
      }}
    >
      <p class="soft">It holds for all instances at once, until it is reset.</p>
      {setting.kind === "concurrency" && field("Tasks at a time", max)}
      {setting.kind === "rate" && (
        <div class="field-row">
          {field("Tasks", max)}
          {field("In", per, "1s, 1m")}
          {field("At once", burst)}
        </div>
      )}
      {setting.kind === "fair" && field("Weight", weight)}
      {setting.kind === "order" && (
        <label class="field">
          After a failure
          <select
            value={onFailure.value}
            disabled={isLifted.value}
            onChange={({ currentTarget }) => {
              onFailure.value = currentTarget.value as "block" | "continue"
            }}
          >
            <option value="block">the next one waits</option>
            <option value="continue">the next one starts</option>
          </select>
        </label>
      )}
      {key === null && (
        <label class="field">
          Only for the key
          <input
            value={forKey.value}
            maxLength={255}
            spellcheck={false}
            placeholder="all keys"
            onInput={({ currentTarget }) => {
              forKey.value = currentTarget.value
            }}
          />
        </label>
      )}
      <label class="check">
        <input
          type="checkbox"
          checked={isLifted.value}
          onChange={({ currentTarget }) => {
            isLifted.value = currentTarget.checked
          }}
        />
        No limit at all
      </label>
      <label class="field">
        Reason
        <input
          value={reason.value}
          maxLength={1000}
          placeholder="What others should know"
          onInput={({ currentTarget }) => {
            reason.value = currentTarget.value
          }}
        />
      </label>
    </Dialog>
  )
}

/** A duration as the API takes it. */
const written = (ms: number): string =>
  ms % 60_000 === 0 ? `${ms / 60_000}m` : ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`

/** What a limit holds, in words. */
const words = (setting: Setting): string => {
  switch (setting.kind) {
    case "concurrency":
      return `${Texts.count(setting.max)} at a time`
    case "rate":
      return `${Texts.count(setting.max)} in ${Texts.duration(setting.per_ms)}, ${Texts.count(setting.burst)} at once`
    case "order":
      return setting.on_failure === "block" ? "in order; a failure holds up the next" : "in order"
    case "fair":
      return `fair turns, weight ${setting.weight}`
    case "lifted":
      return "lifted: no limit"
  }
}
