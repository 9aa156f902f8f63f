/** How busy the slots of each instance were: a row for each, a cell for each stretch of time, the fuller the busier. */
import { address } from "../Statistics.ts"
import * as Texts from "../Texts.ts"
import type { Statistics } from "../Wire.ts"

/** Instances, and slots of one, that are drawn. */
const maxRows = 30

/** The rows. An instance is opened to see its slots; which one is in the address. */
export const Utilisation = ({ found }: { readonly found: Statistics }) => {
  const { instances } = found
  const columnMs = found.step_ms * found.points_per_column
  const from = Date.parse(found.from)
  return (
    <section class="card heat">
      <div class="card-head">
        <h2>How busy slots were</h2>
        <p class="heat-scale soft" aria-hidden="true">
          free {[0, 0.25, 0.5, 0.75, 1].map((share) => <i key={share} style={{ background: shade(share) }} />)} busy
        </p>
      </div>
      {instances.length === 0
        ? (
          <p class="soft">
            No instance ran tasks in this time. One is started with <code>taskforge work</code>.
          </p>
        )
        : instances.slice(0, maxRows).map(({ busy, id, slots }) => (
          <div key={id} class="heat-instance">
            <a
              class="heat-name"
              href={address({ instance: slots === undefined ? id : undefined })}
              aria-expanded={slots !== undefined}
              role="button"
              title={slots === undefined ? "Show its slots" : "Hide its slots"}
            >
              <code>{id}</code>
            </a>
            <Cells name={id} shares={busy} from={from} columnMs={columnMs} />
            {slots?.slice(0, maxRows).map((shares, index) => (
              <>
                <span class="heat-slot soft">Slot {index + 1}</span>
                <Cells name={`Slot ${index + 1}`} shares={shares} from={from} columnMs={columnMs} isThin />
              </>
            ))}
          </div>
        ))}
      {instances.length > maxRows && <small>and {Texts.counted(instances.length - maxRows, "more instance")}</small>}
    </section>
  )
}

const Cells = ({ columnMs, from, isThin = false, name, shares }: {
  readonly name: string
  readonly shares: ReadonlyArray<number | null>
  readonly from: number
  readonly columnMs: number
  readonly isThin?: boolean
}) => {
  const known = shares.filter((share) => share !== null)
  const average = known.length === 0 ? 0 : known.reduce((sum, share) => sum + share, 0) / known.length
  return (
    <svg
      class={isThin ? "heat-cells heat-thin" : "heat-cells"}
      viewBox={`0 0 ${shares.length} 1`}
      preserveAspectRatio="none"
      role="img"
      aria-label={known.length === 0
        ? `${name} was not there`
        : `${name} was busy ${percent(average)} of the time, ${percent(Math.max(...known))} at most`}
    >
      {shares.map((share, index) =>
        share === null ?
          null :
          (
            <rect key={index} x={index + 0.04} width={0.92} height={1} style={{ fill: shade(share) }}>
              <title>{`${Texts.instant(from + index * columnMs)}: ${percent(share)}`}</title>
            </rect>
          )
      )}
    </svg>
  )
}

const percent = (share: number): string => `${Math.round(share * 100)} %`

/** What is not free is seen. */
const shade = (share: number): string =>
  share === 0
    ? "var(--raised)"
    : `color-mix(in srgb, var(--busy) ${Math.round(20 + share * 80)}%, var(--raised))`
