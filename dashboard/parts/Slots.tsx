/** The slots of instances: each is a square that is filled while it runs a task, and leads to it. */
import { link } from "../Router.ts"
import * as Texts from "../Texts.ts"
import type { Instances } from "../Wire.ts"

/** Slots of an instance that are drawn. */
const maxDrawn = 200

/** The slots of one instance. */
export const Slots = ({ slots }: { readonly slots: Instances["workers"] }) => (
  <div class="slots" role="list" aria-label="Slots">
    {slots.slice(0, maxDrawn).map(({ id, slot, task }) => (
      <span key={id} role="listitem">
        {task === null
          ? <i class="slot" title={`Slot ${slot} is free`} role="img" aria-label={`Slot ${slot} is free`} />
          : (
            <a
              class="slot slot-busy"
              href={link(["tasks", task.id])}
              title={`${task.type}, for ${Texts.duration(task.running_for_ms)}`}
              aria-label={`Slot ${slot} runs ${task.type} ${task.id}`}
            />
          )}
      </span>
    ))}
    {slots.length > maxDrawn && <small>and {Texts.count(slots.length - maxDrawn)} more</small>}
  </div>
)
