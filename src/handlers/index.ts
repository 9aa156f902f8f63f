/**
 * The task types that ship with the server. Each file is an example of how to write one: a definition that says what
 * the task takes, gives and fails with, and a layer that runs it. What runs on a thread is in a file `….thread.ts`.
 */
import { Layer } from "effect"
import type { AnyTaskDefinition } from "../domain/TaskDefinition.ts"
import { Backup, BackupLive } from "./Backup.ts"
import { Batch, BatchLive } from "./Batch.ts"
import { Cleanup, CleanupLive } from "./Cleanup.ts"
import { Compute, ComputeLive } from "./Compute.ts"
import { DataProcess, DataProcessLive } from "./DataProcess.ts"
import { Default, DefaultLive } from "./Default.ts"
import { Echo, EchoLive } from "./Echo.ts"
import { Email, EmailLive } from "./Email.ts"
import { Fail, FailLive } from "./Fail.ts"
import { Fibonacci, FibonacciLive } from "./Fibonacci.ts"
import { FileRead, FileReadLive } from "./FileRead.ts"
import { FileWrite, FileWriteLive } from "./FileWrite.ts"
import { Hash, HashLive } from "./Hash.ts"
import { HttpRequest, HttpRequestLive } from "./HttpRequest.ts"
import { ImageResize, ImageResizeLive } from "./ImageResize.ts"
import { Primes, PrimesLive } from "./Primes.ts"
import { Report, ReportLive } from "./Report.ts"
import { Sleep, SleepLive } from "./Sleep.ts"
import { SqlQuery, SqlQueryLive } from "./SqlQuery.ts"
import { Sync, SyncLive } from "./Sync.ts"
import { Webhook, WebhookLive } from "./Webhook.ts"

export { Backup, BackupDamaged, BackupLive } from "./Backup.ts"
export { Batch, BatchLive, TypeRefused } from "./Batch.ts"
export { Cleanup, CleanupLive } from "./Cleanup.ts"
export { Compute, ComputeLive } from "./Compute.ts"
export { DataProcess, DataProcessLive } from "./DataProcess.ts"
export { Default, DefaultLive } from "./Default.ts"
export { Echo, EchoLive } from "./Echo.ts"
export { Email, EmailLive } from "./Email.ts"
export { Fail, FailedOnPurpose, FailLive } from "./Fail.ts"
export { Fibonacci, FibonacciLive } from "./Fibonacci.ts"
export { FileRead, FileReadLive } from "./FileRead.ts"
export { FileWrite, FileWriteLive } from "./FileWrite.ts"
export { Hash, HashLive } from "./Hash.ts"
export { HttpRequest, HttpRequestLive } from "./HttpRequest.ts"
export { ImageLimits, ImageRefused, ImageResize, ImageResizeLive, type Limits } from "./ImageResize.ts"
export { Primes, PrimesLive } from "./Primes.ts"
export { Report, ReportLive } from "./Report.ts"
export { Sleep, SleepLive } from "./Sleep.ts"
export { QueryRefused, QueryTooSlow, SqlQuery, SqlQueryLive } from "./SqlQuery.ts"
export { Sync, SyncLive } from "./Sync.ts"
export { Webhook, WebhookLive, WebhookSecret } from "./Webhook.ts"
export { Unprocessable } from "./data/Columns.ts"
export { Folders, PathRefused } from "./files/Folders.ts"
export {
  type LeftAlone as MailLeftAlone,
  MailFailed,
  MailRejected,
  type Message,
  type Options as MailerOptions,
  type Send as SendMail,
  type Sent
} from "./mail/Mail.ts"
export { Mailer } from "./mail/Mailer.ts"
export { Outbound } from "./outbound/Outbound.ts"
export { OutboundError, RequestFailed, RequestRefused, RequestRejected } from "./outbound/OutboundErrors.ts"
export type { Writer } from "./files/AtomicFile.ts"
export type {
  Answer,
  LeftAlone as HostLeftAlone,
  Options as OutboundOptions,
  OutboundRequest,
  Send as SendRequest
} from "./outbound/OutboundRequest.ts"

/** Each task type with what runs it. */
const shipped = [
  [Backup, BackupLive],
  [Batch, BatchLive],
  [Cleanup, CleanupLive],
  [Compute, ComputeLive],
  [DataProcess, DataProcessLive],
  [Default, DefaultLive],
  [Echo, EchoLive],
  [Email, EmailLive],
  [Fail, FailLive],
  [Fibonacci, FibonacciLive],
  [FileRead, FileReadLive],
  [FileWrite, FileWriteLive],
  [Hash, HashLive],
  [HttpRequest, HttpRequestLive],
  [ImageResize, ImageResizeLive],
  [Primes, PrimesLive],
  [Report, ReportLive],
  [Sleep, SleepLive],
  [SqlQuery, SqlQueryLive],
  [Sync, SyncLive],
  [Webhook, WebhookLive]
] as const

/** All definitions: what the HTTP API accepts. */
export const definitions: ReadonlyArray<AnyTaskDefinition> = shipped.map(([definition]) => definition)

/** All handlers. */
export const layer = Layer.mergeAll(Layer.empty, ...shipped.map(([, live]) => live))
