/** How many tasks wait with a key of a limit, and the first of them, when it is asked: it takes a look at many tasks. */
import { useSignal } from "@preact/signals"
import { get, wordsOf } from "../Requests.ts"
import { link } from "../Router.ts"
import * as Texts from "../Texts.ts"
import type { LimitWaiting as Found } from "../Wire.ts"

/** A button, and what its answer was. */
export const LimitWaiting = ({ limit, of: key }: { readonly limit: string; readonly of: string }) => {
  const found = useSignal<Found | undefined>(undefined)
  const trouble = useSignal("")
  const isAsking = useSignal(false)
  const ask = async () => {
    if (isAsking.value) return
    isAsking.value = true
    trouble.value = ""
    try {
      const path = `api/v1/limits/${encodeURIComponent(limit)}/waiting?key=${encodeURIComponent(key)}`
      found.value = await get<Found>(path, new AbortController().signal)
    } catch (error) {
      trouble.value = wordsOf(error)
    }
    isAsking.value = false
  }
  return (
    <span class="holders">
      <button
        type="button"
        class="quiet"
        onClick={ask}
        disabled={isAsking.value}
        aria-label={key === "" ? `Who waits for ${limit}?` : `Who waits for ${limit} with ${key}?`}
      >
        {found.value === undefined ? "Who waits?" : "Look again"}
      </button>
      {trouble.value !== "" && <span class="trouble" role="alert">{trouble.value}</span>}
      <span role="status">{found.value !== undefined && <Answer of={found.value} />}</span>
    </span>
  )
}

const Answer = ({ of: { complete, count, first, looked } }: { readonly of: Found }) => (
  <>
    {count === 0 && complete ? "None is due" : `${complete ? "" : "At least "}${Texts.counted(count, "task")} due`}
    {first.map((id) => (
      <a key={id} href={link(["tasks", id])}>
        <code>{id}</code>
      </a>
    ))}
    {count > first.length && <span class="soft">and {Texts.count(count - first.length)} later ones</span>}
    {!complete && <span class="soft">among the {Texts.count(looked)} due tasks that were made last</span>}
  </>
)
