/** Chooses the time that charts show. It is in the address, so that a link shows the same. */
import { address, chosen, spans } from "../Statistics.ts"
import * as Texts from "../Texts.ts"
import type { Statistics } from "../Wire.ts"

/** The times, and what part of one is looked at. */
export const SpanPicker = ({ found }: { readonly found: Statistics | undefined }) => {
  const current = chosen()
  return (
    <div class="spans">
      <h2>What happened</h2>
      <SpanChips />
      {found !== undefined && (
        <small class="number">
          {current === undefined ? `${Texts.instant(found.from)} to ${Texts.instant(found.to)}, ` : ""}
          {`a point is ${Texts.duration(found.step_ms)}`}
        </small>
      )}
    </div>
  )
}

/** The times alone. */
export const SpanChips = () => {
  const current = chosen()
  return (
    <nav class="chips" aria-label="Time">
      {spans.map(({ last, name }) => (
        <a
          key={last}
          class="chip"
          href={address({ last, from: undefined, to: undefined })}
          aria-current={last === current ? "true" : undefined}
        >
          {name}
        </a>
      ))}
    </nav>
  )
}
