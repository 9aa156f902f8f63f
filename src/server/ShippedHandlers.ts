/** The handlers that ship with the server, and what they stand on. */
import { Layer } from "effect"
import type { Settings } from "../config/Settings.ts"
import * as Handlers from "../handlers/index.ts"
import { ThreadPool } from "../threads/ThreadPool.ts"

/** What the handlers depend on. */
export type Choice = Pick<Settings, "threads" | "threadMemory">

/** All handlers with their services. */
export const layer = ({ threadMemory, threads }: Choice) =>
  Handlers.layer.pipe(
    Layer.provide(ThreadPool.layer({ size: threads, memoryMiB: threadMemory }))
  )
