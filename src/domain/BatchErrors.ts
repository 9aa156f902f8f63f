/** Errors about batches. */
import { Schema } from "effect"
import { shortened } from "./Quoting.ts"

/** Characters of an id that a message shows. */
const maxShownLength = 255

const shown = (batch: string): string => JSON.stringify(shortened(batch, maxShownLength))

/** No batch has this id: it never existed, or was removed some time after it had finished. */
export class BatchNotFound extends Schema.TaggedError<BatchNotFound>()("BatchNotFound", { batch: Schema.String }) {
  override get message(): string {
    return `No batch has the id ${shown(this.batch)}: it never existed or has been removed`
  }
}

/** The batch takes no members any more: all that it had have ended, or it was cancelled. */
export class BatchFinished extends Schema.TaggedError<BatchFinished>()("BatchFinished", {
  batch: Schema.String,
  /** Whether it was cancelled, or has finished. */
  reason: Schema.Literals(["finished", "cancelled"])
}) {
  override get message(): string {
    const why = this.reason === "finished" ? "has finished" : "was cancelled"
    return `The batch ${shown(this.batch)} ${why}, and takes no more members`
  }
}

/** Not all members of a batch have completed. */
export class BatchFailed extends Schema.TaggedError<BatchFailed>()("BatchFailed", {
  batch: Schema.String,
  total: Schema.Int,
  completed: Schema.Int,
  failed: Schema.Int,
  cancelled: Schema.Int,
  expired: Schema.Int
}) {
  override get message(): string {
    const { cancelled, completed, expired, failed, total } = this
    const others = [[failed, "failed"], [cancelled, "were cancelled"], [expired, "expired"]] as const
    const told = others.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`)
    return `Of the ${total} members of the batch ${shown(this.batch)}, ${completed} completed; ${told.join(", ")}`
  }
}
