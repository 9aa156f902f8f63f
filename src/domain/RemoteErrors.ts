/**
 * Why a worker is refused: a program outside of the engine, in whatever language, that claims tasks over HTTP. What it asks for in a wrong
 * way is refused as every request is.
 */
import { Schema } from "effect"

/** The server tells of as many workers as it can, or as many requests wait as may. */
export class TooManyWorkers extends Schema.TaggedError<TooManyWorkers>()("TooManyWorkers", {
  max: Schema.Int
}) {
  override get message(): string {
    return `This server takes ${this.max} workers that ask and wait at the same time, and no more: let each worker run more ` +
      "tasks, or start another server"
  }
}
