/** Where the handler of a running task is now, when it is asked. */
import { useSignal } from "@preact/signals"
import { get, wordsOf } from "../Requests.ts"
import * as Texts from "../Texts.ts"
import type { Task, TaskStack } from "../Wire.ts"
import { Ago } from "./Time.tsx"

/** A button, and what its answer was. */
export const Stack = ({ path, task }: { readonly task: Task; readonly path: string }) => {
  const found = useSignal<TaskStack | undefined>(undefined)
  const trouble = useSignal("")
  const isAsking = useSignal(false)
  if (task.status !== "running") return null
  const ask = async () => {
    if (isAsking.value) return
    isAsking.value = true
    trouble.value = ""
    try {
      found.value = await get<TaskStack>(`${path}/stack`, new AbortController().signal)
    } catch (error) {
      trouble.value = wordsOf(error)
    }
    isAsking.value = false
  }
  return (
    <section class="card wide" aria-label="What it is doing now">
      <div class="card-head">
        <h2>What is it doing now?</h2>
        <button type="button" class="quiet" onClick={ask} disabled={isAsking.value}>
          {found.value === undefined ? "Ask" : "Ask again"}
        </button>
      </div>
      {trouble.value !== "" && <p class="trouble" role="alert">{trouble.value}</p>}
      <div role="status">{found.value !== undefined && <Answer of={found.value} />}</div>
    </section>
  )
}

const Answer = ({ of: stack }: { readonly of: TaskStack }) => {
  const { answered, fibers, instance, running_for_ms: forMs = 0, slot } = stack
  if (stack.status !== "running") return <p>It does not run any more: it is {stack.status}.</p>
  if (!answered) {
    return (
      <p>
        <code>{instance}</code>{" "}
        runs it, and only that instance knows where it is. This page was answered by another one.
      </p>
    )
  }
  return (
    <>
      <p class="soft">
        In slot {slot} of <code>{instance}</code> for {Texts.duration(forMs)}
      </p>
      {fibers.every(({ frames, step }) => frames.length === 0 && step === null)
        ? (
          <p>
            Its handler is in nothing that has a name: <code>Effect.fn("name")</code> and <code>Effect.withSpan</code>
            {" "}
            give one.
          </p>
        )
        : fibers.map((fiber, place) => <OfFiber key={place} fiber={fiber} place={place} />)}
      {stack.more_fibers && <p class="soft">There are other fibers.</p>}
    </>
  )
}

const OfFiber = ({ fiber, place }: { readonly fiber: TaskStack["fibers"][number]; readonly place: number }) => (
  <>
    <h3>
      {fiber.parent === null
        ? "The handler"
        : `Fiber ${place}, forked by ${fiber.parent === 0 ? "the handler" : `fiber ${fiber.parent}`}`}
      {fiber.step !== null && <small>in step {fiber.step}</small>}
    </h3>
    {fiber.frames.length > 0 && (
      <ol class="stack">
        {fiber.frames.map(({ called_at: calledAt, defined_at: definedAt, name, since }, index) => (
          <li key={index}>
            <b dir="auto">{name}</b> {definedAt !== null && <code>{definedAt}</code>}{" "}
            <small class="soft">
              {calledAt !== null && <>called at {calledAt}</>}
              {since !== null && (
                <>
                  since <Ago at={since} />
                </>
              )}
            </small>
          </li>
        ))}
        {fiber.more_frames > 0 && <li class="soft">and {Texts.count(fiber.more_frames)} more</li>}
      </ol>
    )}
  </>
)
