/**
 * Which span a task was enqueued in: the trace context of W3C, kept with the task as text. A task that was enqueued outside of every
 * trace has none.
 *
 * The text is a `traceparent`; where one write enqueued many tasks it ends with `-many`, because each of these has a trace
 * of its own, with a link to the write.
 */

/** A span by its ids. */
export interface TraceContext {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** What is read of a stored text. */
export interface StoredContext extends TraceContext {
  /** Whether the task is one of many that were enqueued together. */
  readonly isFannedOut: boolean
}

/** What follows the context of a task that was enqueued together with others. */
const fannedOut = "-many"

const traceparent = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** A trace id as people and programs say it: 32 hexadecimal digits. */
export const isTraceId = (text: string): boolean =>
  typeof text === "string" && /^[0-9a-f]{32}$/.test(text) && !isZero(text)

/** The context in a header of W3C, `undefined` where it is none. Of versions to come the part is read that this one has. */
export const fromHeader = (header: string | undefined): TraceContext | undefined => {
  if (header === undefined || header.length > maxHeader) return undefined
  const [, version, traceId, spanId, flags, more] = traceparent.exec(header.trim()) ?? []
  if (version === undefined || version === "ff" || version === "00" && more !== undefined) return undefined
  if (isZero(traceId!) || isZero(spanId!)) return undefined
  return { traceId: traceId!, spanId: spanId!, sampled: (Number.parseInt(flags!, 16) & 1) === 1 }
}

/** Characters of a header that are looked at. */
const maxHeader = 200

/** The text that is kept with a task; `undefined` where ids are none of W3C, which a tracer may give. */
export const textOf = ({ sampled, spanId, traceId }: TraceContext, isFannedOut: boolean): string | undefined => {
  const text = `00-${traceId.padStart(32, "0")}-${spanId}-${sampled ? "01" : "00"}`
  return fromHeader(text) === undefined ? undefined : isFannedOut ? `${text}${fannedOut}` : text
}

/** The context of a stored text. One that another version has written is none. */
export const fromText = (text: string): StoredContext | undefined => {
  const isFannedOut = text.endsWith(fannedOut)
  const context = fromHeader(isFannedOut ? text.slice(0, -fannedOut.length) : text)
  return context && { ...context, isFannedOut }
}

/** The trace in a stored text. */
export const traceIdOf = (text: string | null): string | null => text === null ? null : fromText(text)?.traceId ?? null

const isZero = (digits: string): boolean => /^0+$/.test(digits)
