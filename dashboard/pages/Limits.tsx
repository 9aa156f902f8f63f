/** Limits, and the breakers in front of what tasks need: what holds, who set it, and what is open. */
import { BreakerList } from "../parts/BreakerList.tsx"
import { Empty } from "../parts/Empty.tsx"
import { LimitCard } from "../parts/LimitCard.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { PauseButton, Paused } from "../parts/PauseButton.tsx"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { may } from "../Session.ts"
import type { BreakerPage, LimitPage } from "../Wire.ts"

/** The page. */
export const Limits = () => {
  const limits = useResource("limits", (ended) => get<LimitPage>("api/v1/limits?limit=200", ended), {
    live: 3000
  })
  const breakers = useResource("breakers", (ended) => get<BreakerPage>("api/v1/breakers?limit=100", ended))
  return (
    <div class="page">
      <div class="page-head">
        <h1>Limits</h1>
      </div>
      <Loaded resource={limits}>
        {(found) => (
          <>
            {found.paused_types.map(({ type, ...pause }) => (
              <div key={type} class="card card-head">
                <span>
                  The type <b>{type}</b> <Paused pause={pause} />
                </span>
                {may("admin") && (
                  <PauseButton
                    kind="type"
                    name={type}
                    path={`api/v1/types/${encodeURIComponent(type)}`}
                    isPaused
                    onChanged={limits.refresh}
                  />
                )}
              </div>
            ))}
            {found.limits.length === 0
              ? (
                <Empty icon="limits" title="There are no limits">
                  <p>
                    A type says with <code>limits</code>{" "}
                    how many of its tasks run or start, for each key, over all instances. Its limits are here once an
                    instance runs it.
                  </p>
                </Empty>
              )
              : (
                <ul class="limits">
                  {found.limits.map((limit) => (
                    <LimitCard key={`${limit.name} ${limit.key}`} limit={limit} onChanged={limits.refresh} />
                  ))}
                </ul>
              )}
          </>
        )}
      </Loaded>
      {breakers.data.value !== undefined && breakers.data.value.breakers.length > 0 && (
        <BreakerList breakers={breakers.data.value.breakers} onChanged={breakers.refresh} />
      )}
    </div>
  )
}
