/**
 * Where a running handler is now: the parts of it that have names, of its own fiber and of its children. Names are those of functions
 * made with `Effect.fn` and of spans; what has none is not seen, nor are the fibers of `Effect.all`, of races and of timeouts, which are
 * no children: the fiber that waits for them is. Nothing is kept for it between requests.
 */
import { Context, type Fiber, Option, type References, type Tracer } from "effect"
import { CurrentStep } from "../flow/StepRunner.ts"
import * as Tracing from "../observability/Tracing.ts"

/** A part of a handler that has a name: a function made with `Effect.fn`, or what is in a span. */
export interface Frame {
  readonly name: string
  /** Where it was called: a file, a line and a column, if that is known. */
  readonly calledAt: string | null
  /** Where the function is, if that is known. */
  readonly definedAt: string | null
  /** Since when, in milliseconds since the epoch; `null` for what has no span. */
  readonly since: number | null
}

/** Where a fiber is. */
export interface FiberStack {
  /** The place of the fiber that has forked it in the list; `null` for that of the handler. */
  readonly parent: number | null
  /** The step that it is in. */
  readonly step: string | null
  /** The innermost first, up to where it was forked. */
  readonly frames: ReadonlyArray<Frame>
  /** How many more there are. */
  readonly moreFrames: number
}

/** Where all fibers of a handler are. */
export interface FiberStacks {
  readonly fibers: ReadonlyArray<FiberStack>
  /** Whether there are more. */
  readonly hasMore: boolean
}

/** Where a running task is. */
export interface RunningStack extends FiberStacks {
  readonly attempt: number
  readonly slot: number
  /** How long the attempt has run, in milliseconds. */
  readonly forMs: number
}

/** Frames of a fiber that are shown, and those that are counted. */
const maxFrames = 30
const maxCounted = 1000

/** Fibers that are shown. */
const maxFibers = 20

/** Characters of a name and of a place. */
const maxLength = 200

type AnyFiber = Fiber.Fiber<unknown, unknown>

/** Where a fiber and those that it has forked are now. */
export const of = (fiber: AnyFiber): FiberStacks => {
  const fibers: Array<FiberStack> = []
  const waiting: Array<readonly [fiber: AnyFiber, parent: number | null, above: References.StackFrame | undefined]> = [
    [fiber, null, undefined]
  ]
  for (const [one, parent, above] of waiting) {
    if (one.pollUnsafe() !== undefined) continue
    if (fibers.length === maxFibers) return { fibers, hasMore: true }
    for (const child of childrenOf(one)) {
      if (waiting.length > 2 * maxFibers) break
      waiting.push([child, fibers.length, one.cache.stackFrame])
    }
    fibers.push({ parent, step: Context.get(one.context, CurrentStep) ?? null, ...framesOf(one, above) })
  }
  return { fibers, hasMore: false }
}

/** The fibers that one has forked and that have not ended. Fibers have this method, which their type does not name. */
const childrenOf = (fiber: AnyFiber): Iterable<AnyFiber> => {
  const { children } = fiber as { readonly children?: () => Iterable<AnyFiber> }
  return typeof children === "function" ? children.call(fiber) : []
}

const framesOf = (
  { cache }: AnyFiber,
  above: References.StackFrame | undefined
): Pick<FiberStack, "frames" | "moreFrames"> => {
  const frames: Array<Frame> = []
  let moreFrames = 0
  let span = cache.span
  for (let frame = cache.stackFrame; frame !== undefined && frame !== above; frame = frame.parent) {
    if (frames.length === maxFrames) {
      if (++moreFrames === maxCounted) break
      continue
    }
    const { name, parent } = frame
    const started = spanOf(span, name)
    if (started !== undefined) span = Option.getOrUndefined(started.parent)
    // A function made with Effect.fn has two frames
    const definition = parent?.name === `${name} (definition)` ? parent : undefined
    frames.push({
      name: name.slice(0, maxLength),
      calledAt: placeOf(frame),
      definedAt: definition === undefined ? null : placeOf(definition),
      since: started === undefined ? null : Tracing.startOf(started)
    })
    if (definition !== undefined) frame = definition
  }
  return { frames, moreFrames }
}

/** The nearest span of a name, from one outwards. */
const spanOf = (from: Tracer.AnySpan | undefined, name: string): Tracer.Span | undefined => {
  let span = from
  for (let looked = 0; span?._tag === "Span" && looked < maxFrames; looked++) {
    if (span.name === name) return span
    span = Option.getOrUndefined(span.parent)
  }
  return undefined
}

/** `    at work (file:///srv/app/src/Mail.ts:3:7)` as `app/src/Mail.ts:3:7`: where the program lies on its machine says nothing. */
const placeOf = ({ stack }: References.StackFrame): string | null => {
  const line = stack()?.split("\n", 1)[0]?.trim()
  if (line === undefined || line === "") return null
  const place = /\((.*)\)$/.exec(line)?.[1] ?? line.replace(/^at (?:async )?/, "")
  return place.replace(/^file:\/\//, "").split(/[\\/]/).slice(-3).join("/").slice(-maxLength)
}
