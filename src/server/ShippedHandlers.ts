/** The handlers that ship with the server, and what they stand on. */
import { Layer } from "effect"
import * as Batch from "../Batch.ts"
import type { handlerSettings } from "../config/HandlerSettings.ts"
import type { Settings } from "../config/Settings.ts"
import { Folders } from "../handlers/files/Folders.ts"
import * as Handlers from "../handlers/index.ts"
import { Mailer } from "../handlers/mail/Mailer.ts"
import { Outbound } from "../handlers/outbound/Outbound.ts"
import { ThreadPool } from "../threads/ThreadPool.ts"

/** Variables that threads and child processes need. They get no others: the rest may hold passwords. */
const passedOn = new Set([
  "HOME",
  "LANG",
  "LC_ALL",
  "LD_LIBRARY_PATH",
  "MALLOC_ARENA_MAX",
  "MALLOC_TRIM_THRESHOLD_",
  "NODE_EXTRA_CA_CERTS",
  "NODE_OPTIONS",
  "PATH",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "TMPDIR",
  "TZ"
])

const harmlessOf = ({ env }: NodeJS.Process): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => passedOn.has(name.toUpperCase())))

/** All handlers with their services, and what batches need. */
export const layer = (
  { folders: [home = ".", ...others], ...settings }: Pick<Settings, keyof typeof handlerSettings>
) =>
  Layer.merge(Handlers.layer, Batch.layer).pipe(
    Layer.provide([
      ThreadPool.layer({ size: settings.threads, memoryMiB: settings.threadMemory, env: harmlessOf(process) }),
      Folders.layer([home, ...others]),
      Outbound.layer({
        allow: settings.outboundAllow,
        timeout: settings.outboundTimeout,
        maxBytes: settings.outboundMaxSize * 1024 * 1024,
        maxRedirects: settings.outboundRedirects
      }),
      Handlers.WebhookSecret.layer(settings.webhookSecret),
      Handlers.ImageLimits.layer({
        maxPixels: settings.imageMaxPixels,
        maxBytes: settings.imageMaxSize * 1024 * 1024
      }),
      Mailer.layer({
        server: settings.smtpUrl,
        requireTls: settings.smtpTls === "required",
        from: settings.mailFrom,
        outbox: settings.outbox
      })
    ])
  )
