/** The queues with their types, and the buttons that pause them. */
import { Empty } from "../parts/Empty.tsx"
import { Loaded } from "../parts/Loaded.tsx"
import { QueueTable } from "../parts/QueueTable.tsx"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import type { QueuePage } from "../Wire.ts"

/** The page. */
export const Queues = () => {
  const queues = useResource("queues", (ended) => get<QueuePage>("api/v1/queues?limit=200", ended), { polling: 1500 })
  return (
    <div class="page">
      <div class="page-head">
        <h1>Queues</h1>
      </div>
      <Loaded resource={queues}>
        {(found) =>
          found.queues.length === 0
            ? (
              <Empty icon="queues" title="There are no queues yet">
                <p>
                  A queue is there once a task was put into it. A task whose type names none goes to{" "}
                  <code>default</code>.
                </p>
              </Empty>
            )
            : (
              <>
                <QueueTable queues={found.queues} onChanged={queues.refresh} />
                {found.next !== null && <p class="soft">The first 200 queues by name.</p>}
              </>
            )}
      </Loaded>
    </div>
  )
}
