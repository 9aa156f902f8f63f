/** How the system does: one sentence that says what is wrong and what helps, then the figures. */
import type { ComponentChildren } from "preact"
import { History } from "../parts/History.tsx"
import { Icon } from "../parts/Icon.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { QueueTable } from "../parts/QueueTable.tsx"
import { Slots } from "../parts/Slots.tsx"
import { Words } from "../parts/Words.tsx"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { link } from "../Router.ts"
import * as Texts from "../Texts.ts"
import { type Instances, type QueuePage, type Scaling, states, type Stats, type Verdict } from "../Wire.ts"

/** Between two looks, in milliseconds. */
const polling = 1000

/** The page. */
export const Overview = () => {
  const verdict = useResource("verdict", (ended) => get<Verdict>("api/v1/explain", ended), { polling: 2000 })
  const stats = useResource("stats", (ended) => get<Stats>("api/v1/stats", ended), { polling })
  const scaling = useResource("scaling", (ended) => get<Scaling>("api/v1/scaling", ended), { polling: 2000 })
  const queues = useResource("queues", (ended) => get<QueuePage>("api/v1/queues?limit=20", ended), { polling: 2000 })
  const instances = useResource("instances", (ended) => get<Instances>("api/v1/workers", ended), { polling: 2000 })
  const need = scaling.data.value
  return (
    <div class="page overview">
      <h1 class="hidden">Overview</h1>
      <Loaded resource={verdict} lines={1}>{(found) => <Sentence verdict={found} />}</Loaded>
      {verdict.data.value !== undefined && <Homeless causes={verdict.data.value.causes} />}
      <Loaded resource={stats} lines={2}>
        {(found) => (
          <ul class="figures" aria-label="Tasks by state">
            {states.map((state) => (
              <li key={state}>
                <a class={`figure state-${state}`} href={link(["tasks"], { status: state })}>
                  <b class="number">{Texts.compact(found.by_status[state])}</b>
                  <span>
                    <i aria-hidden="true" />
                    {state}
                  </span>
                </a>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      {need !== undefined && (
        <dl class="card needs">
          <Need name="Oldest waits">
            {need.waiting_since === null ? "none waits" : Texts.duration(need.oldest_age_ms)}
          </Need>
          <Need name="Time to drain">
            {need.waiting === 0
              ? "nothing waits"
              : need.drain_ms === null
              ? "not known yet"
              : Texts.duration(need.drain_ms)}
          </Need>
          <Need name="An attempt takes">{need.task_ms === null ? "–" : Texts.duration(need.task_ms)}</Need>
          <Need name="Slots busy">{Texts.count(need.slots_active)} of {Texts.count(need.slots)}</Need>
          <Need name="Slots wanted">{Texts.count(need.slots_wanted)}</Need>
        </dl>
      )}
      <History />
      {instances.data.value !== undefined && instances.data.value.instances.length > 0 && (
        <section class="card">
          <h2>What slots run now</h2>
          {instances.data.value.instances.slice(0, 20).map(({ id }) => (
            <div key={id} class="slot-row">
              <a href={link(["instances"])}>
                <code>{id}</code>
              </a>
              <Slots slots={instances.data.value!.workers.filter((slot) => slot.instance === id)} />
            </div>
          ))}
        </section>
      )}
      {queues.data.value !== undefined && queues.data.value.queues.length > 0 && (
        <QueueTable queues={queues.data.value.queues} onChanged={queues.refresh} />
      )}
    </div>
  )
}

const Sentence = ({ verdict: { action, causes, summary } }: { readonly verdict: Verdict }) => (
  <section class={`verdict ${causes.length === 0 ? "verdict-good" : "verdict-held"}`} aria-label="Verdict">
    <Icon name={causes.length === 0 ? "good" : "alert"} size={24} />
    <div>
      <p class="verdict-summary">
        <Words text={summary} />
      </p>
      {action !== null && (
        <p>
          <Words text={action} />
        </p>
      )}
      {causes.length > 1 && (
        <ul>
          {causes.map(({ text }, index) => (
            <li key={index}>
              <Words text={text} />
            </li>
          ))}
        </ul>
      )}
    </div>
  </section>
)

/** Types that nobody can run, however long they wait. */
const Homeless = ({ causes }: Pick<Verdict, "causes">) => {
  const found = causes.filter(({ code }) => code === "no_handler")
  return found.length === 0 || causes.length === 1 ? null : (
    <section class="card homeless">
      <h2>Nobody can run</h2>
      <ul>
        {found.map(({ action, text }, index) => (
          <li key={index}>
            <Words text={text} /> {action !== null && <span class="soft">{action}</span>}
          </li>
        ))}
      </ul>
    </section>
  )
}

const Need = ({ children, name }: { readonly name: string; readonly children: ComponentChildren }) => (
  <div>
    <dt>{name}</dt>
    <dd class="number">{children}</dd>
  </div>
)
