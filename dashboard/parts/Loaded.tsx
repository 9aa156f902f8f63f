/** What is loaded, or why it is not: a page never stays empty without a word. */
import type { ComponentChildren } from "preact"
import { Refused, Unreachable, wordsOf } from "../Requests.ts"
import type { Resource } from "../Resource.ts"
import { Icon } from "./Icon.tsx"

/** Shows what has been loaded. What is old stays, under a line that says so. */
export const Loaded = <A extends object>({ children, lines = 6, resource: { data, error, refresh } }: {
  readonly resource: Resource<A>
  readonly children: (found: A) => ComponentChildren
  /** Lines that stand for it until it is there. */
  readonly lines?: number
}) => {
  const found = data.value
  const problem = error.value
  if (found === undefined && problem === undefined) {
    return (
      <div class="loading" role="status" aria-label="Loading">
        {Array.from({ length: lines }, (_, index) => <i key={index} />)}
      </div>
    )
  }
  return (
    <>
      {problem !== undefined && !(problem instanceof Unreachable && found !== undefined) && (
        <div class="trouble-box" role="alert">
          <Icon name="alert" />
          <span>{wordsOf(problem)}</span>
          {!(problem instanceof Refused && problem.status === 404) && (
            <button type="button" onClick={refresh}>Try again</button>
          )}
        </div>
      )}
      {found !== undefined && children(found)}
    </>
  )
}
