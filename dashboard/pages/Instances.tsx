/** The living instances: their slots, what they can run, and when they were last heard of. */
import { useSignal } from "@preact/signals"
import { Dialog } from "../parts/Dialog.tsx"
import { Empty } from "../parts/Empty.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { notify } from "../parts/Notices.tsx"
import { Slots } from "../parts/Slots.tsx"
import { Ago } from "../parts/Time.tsx"
import { call, get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { may } from "../Session.ts"
import * as Texts from "../Texts.ts"
import type { Instances as Found } from "../Wire.ts"

type Instance = Found["instances"][number]

/** The page. */
export const Instances = () => {
  const instances = useResource("instances", (ended) => get<Found>("api/v1/workers", ended), { polling: 1500 })
  return (
    <div class="page">
      <div class="page-head">
        <h1>Instances</h1>
      </div>
      <Loaded resource={instances}>
        {(found) =>
          found.instances.length === 0
            ? (
              <Empty icon="instances" title="No instance is alive">
                <p>Tasks wait until a process that runs their types starts on this store.</p>
              </Empty>
            )
            : found.instances.map((instance) => (
              <section key={instance.id} class="card instance">
                <div class="card-head">
                  <h2>
                    <code>{instance.id}</code> {instance.draining && <span class="mark paused">drains</span>}
                  </h2>
                  {may("admin") && (
                    <div class="buttons">
                      <Resize instance={instance} onChanged={instances.refresh} />
                      <Drain instance={instance} onChanged={instances.refresh} />
                    </div>
                  )}
                </div>
                <Slots slots={found.workers.filter((slot) => slot.instance === instance.id)} />
                <p class="soft">
                  {Texts.count(instance.slots_active)} of {Texts.counted(instance.slot_count, "slot")}{" "}
                  busy{sizes[instance.sized_by]} · {instance.host}, process {instance.pid} · version {instance.version}
                  {" "}
                  · started <Ago at={instance.started_at} /> · heard of <Ago at={instance.seen_at} />
                </p>
                {instance.log_levels !== undefined && <Levels levels={instance.log_levels} />}
                <details>
                  <summary>{Texts.counted(instance.types.length, "type")} that it can run</summary>
                  <p class="marks">{instance.types.map((type) => <span key={type} class="mark">{type}</span>)}</p>
                </details>
              </section>
            ))}
      </Loaded>
    </div>
  )
}

/** What decides how many slots there are. */
const sizes = { start: "", load: ", as many as its load needs", hand: ", set by hand" } as const

/** The levels of its log. */
const Levels = ({ levels: { "*": common, ...modules } }: { readonly levels: Readonly<Record<string, string>> }) => (
  <p class="soft">
    Logs from {common} on{Object.entries(modules).map(([module, level]) => `, ${module} from ${level}`).join("")}
  </p>
)

const Resize = ({ instance: { id, max_slots, sized_by, slot_count }, onChanged }: {
  readonly instance: Instance
  readonly onChanged: () => void
}) => {
  const isAsked = useSignal(false)
  const slots = useSignal("")
  const isLifted = useSignal(false)
  return (
    <>
      <button
        type="button"
        aria-label={`Resize ${id}`}
        onClick={() => {
          slots.value = String(slot_count)
          isLifted.value = false
          isAsked.value = true
        }}
      >
        Resize …
      </button>
      {isAsked.value && (
        <Dialog
          title={`Resize ${id}`}
          verb="Resize it"
          onClose={() => {
            isAsked.value = false
          }}
          act={async () => {
            const path = `api/v1/instances/${encodeURIComponent(id)}/slots`
            if (isLifted.value) await call("DELETE", path)
            else if (!/^\d{1,6}$/.test(slots.value.trim())) throw new Error("Slots are a whole number.")
            else await call("PUT", path, { slots: Number(slots.value) })
            notify("good", "It has as many slots within seconds")
            onChanged()
          }}
        >
          <p>Running tasks go on where slots are taken away. It may have {max_slots} at most.</p>
          <label class="field field-short">
            Slots
            <input
              inputMode="numeric"
              value={slots.value}
              disabled={isLifted.value}
              onInput={({ currentTarget }) => {
                slots.value = currentTarget.value
              }}
            />
          </label>
          {sized_by === "hand" && (
            <label class="check">
              <input
                type="checkbox"
                checked={isLifted.value}
                onChange={({ currentTarget }) => {
                  isLifted.value = currentTarget.checked
                }}
              />
              Leave the number to the instance again
            </label>
          )}
        </Dialog>
      )}
    </>
  )
}

const Drain = ({ instance: { draining, id }, onChanged }: {
  readonly instance: Instance
  readonly onChanged: () => void
}) => {
  const isAsked = useSignal(false)
  const verb = draining ? "Resume" : "Drain"
  return (
    <>
      <button
        type="button"
        aria-label={`${verb} ${id}`}
        onClick={() => {
          isAsked.value = true
        }}
      >
        {verb} …
      </button>
      {isAsked.value && (
        <Dialog
          title={`${verb} ${id}?`}
          verb={`${verb} it`}
          onClose={() => {
            isAsked.value = false
          }}
          act={async () => {
            await call("POST", `api/v1/instances/${encodeURIComponent(id)}/${draining ? "resume" : "drain"}`)
            notify("good", draining ? "It takes tasks again within seconds" : "It takes no more tasks within seconds")
            onChanged()
          }}
        >
          <p>{draining ? "It takes tasks again." : "It takes no more tasks, and finishes those that it runs."}</p>
        </Dialog>
      )}
    </>
  )
}
