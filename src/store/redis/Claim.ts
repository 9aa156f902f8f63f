/**
 * Handing out work: asks for types and queues, and reads the tasks that were leased.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import type { ClaimedTask } from "../../domain/TaskRecord.ts"
import { type ClaimAnswer, type ClaimRequest, maxPromoted } from "../TaskStore.ts"
import { type Runner, script } from "./Runner.ts"
import { claim } from "./scripts/Claim.ts"
import { claimedTaskOf, elementsOf } from "./Text.ts"

type Answer = readonly [now: number, nextDueAt: string, firstClaim: string | number, ...tasks: ReadonlyArray<string>]

const run = script<Answer>(claim)

/** Where the tasks begin in an answer. */
const tasksFrom = 3

/** The claim of one deployment. */
export const make =
  (runner: Runner, headStartMs: number) => (request: ClaimRequest): Effect.Effect<ClaimAnswer, StoreError> =>
    Effect.suspend(() => Effect.map(runner("claim", run, argumentsOf(request, headStartMs)), answerOf))

const argumentsOf = (request: ClaimRequest, headStartMs: number): ReadonlyArray<string> => [
  String(headStartMs),
  String(maxPromoted),
  JSON.stringify(request.instance),
  String(request.nonce),
  String(request.limit),
  String(request.leaseForMs),
  elementsOf(request.types),
  request.queues === undefined ? "" : elementsOf(request.queues)
]

const answerOf = (answer: Answer): ClaimAnswer => {
  const tasks: Array<ClaimedTask> = []
  const text = (index: number): string => answer[index] as string
  const first = Number(answer[2])
  if (first < 0) {
    for (let at = tasksFrom; at < answer.length; at += 4) {
      tasks.push(claimedTaskOf(text(at), text(at + 1), text(at + 2), Number(text(at + 3))))
    }
  } else {
    for (let at = tasksFrom; at < answer.length; at += 3) {
      tasks.push(claimedTaskOf(text(at), text(at + 1), text(at + 2), first + tasks.length))
    }
  }
  return { tasks, now: answer[0], nextDueAt: answer[1] === "" ? null : Number(answer[1]) }
}
