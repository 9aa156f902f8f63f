/** Works for a server: claims tasks over HTTP, runs a program for each, and says how it ended. */
import { Duration, Effect, Fiber, FiberSet, Latch, Schedule, Schema } from "effect"
import { SecureRandom } from "effect/crypto"
import { hostname } from "node:os"
import { UnknownTaskType } from "../domain/Errors.ts"
import * as MonotonicClock from "../domain/MonotonicClock.ts"
import { type ClaimsJson, type EndJson, NewDefinitionJson } from "../http/api/ClaimsApi.ts"
import { version } from "../store/InstanceStore.ts"
import { Failure, invalidRequest } from "./Failure.ts"
import * as ProgramRun from "./ProgramRun.ts"
import * as Screen from "./Screen.ts"
import * as Target from "./Target.ts"

/** What a program says by its exit code. Every other one is an error, which is tried again as the policy of its type says. */
const exitCodes = { complete: 0, hopeless: 65, later: 75 } as const

/** How a worker works. */
export interface Options {
  readonly type: string
  readonly program: ProgramRun.Program
  /** Tasks that it runs at a time. */
  readonly slots: number
  readonly name: string | undefined
  readonly queues: ReadonlyArray<string>
  /** How long a task waits whose program has exited with 75. */
  readonly later: Duration.Duration
  /** How long programs may go on when the worker is told to stop. */
  readonly grace: Duration.Duration
  readonly lease: Duration.Duration | undefined
  /** What is known of the type, as the API takes it. A type without a definition takes any JSON. */
  readonly definition: unknown
}

/** Why a program is stopped. */
type Stop = "cancel" | "timeout" | "lost" | "shutdown"

/** A task on its way. */
interface Running {
  readonly token: string
  readonly lines: Array<string>
  progress: number | undefined
  stop: Stop | undefined
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

/** Lines of a task that wait to be sent at most. */
const maxLines = 500

/** Characters of lines in a request. */
const maxLinesSize = 512 * 1024

/** How long a request for tasks waits at the server. */
const wait = Duration.seconds(30)

/** As long as a server may be away: an end is sent until it is answered. */
const patience = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/** Works until it is interrupted; then its programs have some time to end, and the rest is given back. */
export const work = Effect.fnUntraced(function*(options: Options) {
  const { api, problem } = yield* Target.Target
  const random = yield* SecureRandom.SecureRandom
  const name = options.name ?? `${hostname().slice(0, 150)}-${(yield* random.uuidV4()).slice(0, 8)}`
  const running = new Set<Running>()
  const room = Latch.makeUnsafe(true)
  const fibers = yield* FiberSet.make<void, Failure>()
  /** How long the server keeps a task for this worker; known with the first one. */
  let leaseMs = 0
  const claimedSome = Latch.makeUnsafe(false)

  const say = (text: string) => Screen.lineError(text)

  const settle = (end: EndJson) =>
    api.claims.settle({ payload: { claims: [end] } }).pipe(
      Effect.retry({ schedule: patience, while: isPassing }),
      Effect.map(({ claims: [answer] }) => answer),
      Effect.catch((error) =>
        Effect.as(say(`✗ the end of a task was not stored: ${problem(error).problem}`), undefined)
      )
    )

  /** Sends what programs have logged and how far they are. What cannot be sent now is sent with the next. */
  const tell = Effect.gen(function*() {
    for (const one of running) {
      const lines = takeLines(one)
      if (lines.length === 0) continue
      const claims = [{ token: one.token, lines: lines.map((text) => ({ text })) }]
      yield* Effect.onError(
        api.claims.log({ payload: { claims } }),
        () => Effect.sync(() => one.lines.unshift(...lines))
      )
    }
    const reports = [...running].flatMap((one) => {
      const { progress, token } = one
      one.progress = undefined
      return progress === undefined ? [] : [{ token, progress }]
    })
    if (reports.length > 0) yield* api.claims.progress({ payload: { claims: reports } })
  }).pipe(Effect.ignore)

  const stop = (one: Running, reason: Stop): void => {
    one.stop ??= reason
    one.fiber?.interruptUnsafe()
  }

  const extend = Effect.gen(function*() {
    const held = [...running]
    if (held.length === 0) return
    const { claims } = yield* api.claims.extend({
      payload: { claims: held.map(({ token }) => ({ token })), ...options.lease && { lease: options.lease } }
    })
    claims.forEach(({ state }, index) => {
      if (state !== "held") stop(held[index]!, state === "unknown" ? "lost" : state)
    })
  }).pipe(Effect.ignore)

  const endOf = (one: Running, ended: ProgramRun.Ended | undefined): EndJson | undefined => {
    const { stop, token } = one
    if (stop !== undefined || ended === undefined) {
      return stop === "lost"
        ? undefined
        : { token, end: stop === "cancel" ? "cancel" : stop === "timeout" ? "timeout" : "release" }
    }
    const { code, lastLine, output } = ended
    if (code === exitCodes.complete) {
      return output === undefined
        ? failure(token, "OutputTooLarge", `The program wrote more than ${ProgramRun.maxOutputBytes} bytes`, false)
        : { token, end: "complete", result: ProgramRun.resultOf(output) as never }
    }
    if (code === exitCodes.later) return { token, end: "snooze", delay: options.later }
    const message = lastLine === "" ? `The program exited with ${code}` : `The program exited with ${code}: ${lastLine}`
    return failure(token, `Exit${code}`, message, code !== exitCodes.hopeless)
  }

  const runOne = Effect.fnUntraced(function*({ task, timeout_ms, token }: (typeof ClaimsJson.Type)["claims"][number]) {
    const one: Running = { token, lines: [], progress: undefined, stop: undefined, fiber: undefined }
    running.add(one)
    if (running.size >= options.slots) room.closeUnsafe()
    const given: ProgramRun.Given = {
      payload: JSON.stringify(task.payload),
      environment: {
        TASKFORGE_TASK_ID: task.id,
        TASKFORGE_TASK_TYPE: task.type,
        TASKFORGE_QUEUE: task.queue,
        TASKFORGE_ATTEMPT: String(task.attempt),
        ...task.traceparent !== null && { TRACEPARENT: task.traceparent }
      },
      onLine: (line) => {
        if (one.lines.length < maxLines) one.lines.push(line)
      },
      onProgress: (progress) => {
        one.progress = progress
      }
    }
    const startedAt = yield* MonotonicClock.now
    const program = Effect.scoped(ProgramRun.run(options.program, given))
    one.fiber = yield* Effect.forkDetach(program)
    if (timeout_ms !== null) {
      yield* Effect.forkChild(Effect.andThen(Effect.sleep(timeout_ms), Effect.sync(() => stop(one, "timeout"))))
    }
    const exit = yield* Fiber.await(one.fiber as Fiber.Fiber<ProgramRun.Ended, { readonly message: string }>)
    yield* tell
    const ended = exit._tag === "Success" ? exit.value : undefined
    const end = endOf(one, ended)
    const answer = end === undefined ? undefined : yield* settle(end)
    running.delete(one)
    room.openUnsafe()
    const took = Math.round((yield* MonotonicClock.now) - startedAt)
    yield* say(`${task.type} ${task.id} ${answer?.outcome ?? answer?.state ?? "lost"} after ${took} ms`)
    if (ended === undefined && one.stop === undefined) {
      const [reason] = exit._tag === "Failure" ? exit.cause.reasons : []
      return yield* new Failure({
        exit: "unavailable",
        problem: `${options.program.command} cannot be started: ${
          reason?._tag === "Fail" ? String((reason.error as Error).message) : "it was interrupted"
        }`,
        advice: "The task was given back. Name a program that is there and may be run."
      })
    }
  })

  const claim = Effect.gen(function*() {
    yield* room.await
    const free = options.slots - running.size
    const { claims } = yield* api.claims.claim({
      payload: {
        worker: { name, host: hostname().slice(0, 255), pid: process.pid, version, slots: options.slots },
        types: [options.type],
        max: Math.min(free, 1000),
        wait,
        request: yield* random.uuidV4(),
        ...options.queues.length > 0 && { queues: options.queues },
        ...options.lease && { lease: options.lease }
      }
    }).pipe(
      Effect.retry({ schedule: patience, while: isPassing }),
      Effect.catchIf((error) => error instanceof UnknownTaskType, () =>
        Effect.as(
          Effect.andThen(
            define({}),
            say(`${options.type} had no definition: it takes any JSON now, or what --define says`)
          ),
          { claims: [] }
        )),
      Effect.mapError((error) => error instanceof Failure ? error : problem(error))
    )
    for (const one of claims) {
      leaseMs = one.lease_ms
      claimedSome.openUnsafe()
      yield* FiberSet.run(fibers, Effect.uninterruptible(runOne(one)))
    }
  })

  const define = (definition: unknown) =>
    Schema.decodeUnknownEffect(Schema.toCodecJson(NewDefinitionJson))(definition, { onExcessProperty: "error" }).pipe(
      Effect.mapError((error) => invalidRequest(error, (field) => `${field} of the definition`)),
      Effect.flatMap((payload) =>
        Effect.mapError(
          Effect.retry(api.claims.define({ params: { type: options.type }, payload }), {
            schedule: patience,
            while: isPassing
          }),
          problem
        )
      )
    )

  if (options.definition !== undefined) yield* define(options.definition)
  yield* say(`working on ${options.type} as ${name}, ${options.slots} at a time`)
  yield* Effect.forkChild(Effect.forever(Effect.andThen(Effect.sleep("1 second"), tell)))
  const beats = yield* Effect.forkDetach(
    Effect.andThen(
      claimedSome.await,
      Effect.forever(Effect.andThen(Effect.suspend(() => Effect.sleep(leaseMs / 3)), extend))
    )
  )
  const settled = Effect.suspend(() => running.size === 0 ? Effect.void : FiberSet.awaitEmpty(fibers))
  const end = Effect.gen(function*() {
    if (running.size > 0) yield* say(`stopping: ${running.size} programs have ${Duration.format(options.grace)} to end`)
    yield* Effect.timeoutOption(settled, options.grace)
    for (const one of running) stop(one, "shutdown")
    yield* settled
    yield* Fiber.interrupt(beats)
  })
  return yield* Effect.raceFirst(Effect.forever(claim), FiberSet.join(fibers)).pipe(
    // In a fiber of its own, which has not been interrupted
    Effect.ensuring(Effect.flatMap(Effect.forkDetach(end), Fiber.await))
  )
}, Effect.scoped)

const failure = (token: string, tag: string, message: string, retry: boolean): EndJson => ({
  token,
  end: "fail",
  error: { tag, message: message.slice(0, 60_000) },
  retry
})

/** As many as fit into a request. */
const takeLines = (one: Running): ReadonlyArray<string> => {
  let size = 0
  const end = one.lines.findIndex((line) => (size += line.length) > maxLinesSize)
  return one.lines.splice(0, end <= 0 ? one.lines.length : end)
}

/** Whether it may go better later: the server is away, or has too much to do. */
const isPassing = (error: unknown): boolean => {
  const tag = (error as { readonly _tag?: string })._tag
  return tag === "StoreError" || tag === "TooManyWorkers" || tag === "HttpClientError" || tag === "RateLimited"
}
