/** The engine as the settings have it, with the handlers that ship with it. */
import { Layer, Record } from "effect"
import type { Settings } from "../config/Settings.ts"
import * as Engine from "../engine/Engine.ts"
import * as Limit from "../Limit.ts"
import type { HandlerRegistry } from "../worker/HandlerRegistry.ts"
import * as ShippedHandlers from "./ShippedHandlers.ts"

/** Queue, pool and maintenance; `more` are handlers besides those that ship with it. */
export const layer = (
  settings: Settings,
  more: Layer.Layer<never, never, HandlerRegistry> = Layer.empty
) =>
  Engine.layer(Layer.merge(ShippedHandlers.layer(settings), more), {
    queue: {
      maxRetries: settings.retryAttempts,
      pollInterval: settings.pollInterval,
      limits: limitsOfQueues(settings)
    },
    worker: {
      concurrency: settings.workers,
      minConcurrency: settings.minConcurrency,
      maxConcurrency: settings.maxConcurrency,
      queues: settings.queues,
      shares: settings.shares,
      lease: settings.lease,
      pollInterval: settings.pollInterval,
      timeout: settings.jobTimeout,
      logCompletions: "Info"
    },
    retention: {
      keepFinished: settings.keepFinished,
      keepFailed: settings.keepFailed,
      keepLogs: settings.keepLogs,
      keepCancelled: settings.keepCancelled,
      keepExpired: settings.keepExpired,
      maxFinished: settings.maxFinished,
      maxFailed: settings.maxFailed,
      maxCancelled: settings.maxCancelled,
      maxExpired: settings.maxExpired,
      maxKeyedFinished: settings.maxKeyedFinished
    },
    statistics: settings.statistics,
    shutdown: settings.shutdown
  })

/** The limits of queues as the settings say them. */
const limitsOfQueues = (settings: Settings) =>
  Record.map(settings.limitsOfQueues ?? {}, ({ max, rate }) => [
    ...max === undefined ? [] : [Limit.concurrency({ max })],
    ...rate === undefined ? [] : [Limit.rate({ max: rate.limit, per: rate.window })]
  ])
