/** What a request says about the page that it asks for. */
import { Schema } from "effect"
import * as Cursor from "../../domain/Cursor.ts"

/** Items on a page at most, and when nothing is said. */
export const pageSize = { max: 1000, default: 50 } as const

/** How many items, as the text of a URL. */
export const PageSize = Schema.FiniteFromString.check(
  Schema.isInt(),
  Schema.isBetween({ minimum: 1, maximum: pageSize.max })
)

const cursorText = (isOurs: (cursor: string) => boolean) =>
  Schema.String.check(
    Schema.makeFilter((text: string) =>
      isOurs(text) ? undefined : "Expected a cursor from the field next of an earlier page"
    )
  )

/** From a page of tasks. Whether it is one of this filter, the queue knows. */
export const TaskCursor = cursorText(Cursor.isTaskCursor)

/** From a page of queues. */
export const QueueCursor = cursorText((text) => Cursor.decodeName("queue", text) !== undefined)

/** From a page of types. */
export const TypeCursor = cursorText((text) => Cursor.decodeName("type", text) !== undefined)
