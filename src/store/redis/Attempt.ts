/**
 * What happens to a running attempt: its lease is prolonged, it reports, it ends, or it is taken back.
 */
import { Effect } from "effect"
import type { StoreError } from "../../domain/Errors.ts"
import type { SettleAnswer, Settlement } from "../../domain/Settlement.ts"
import type { ClaimRef, ExtendAnswer, ProgressReport, RescueAnswer, Rescued, RescueRequest } from "../TaskStore.ts"
import type { Coalesced } from "./Coalescer.ts"
import * as Failure from "./Failure.ts"
import { type Runner, script } from "./Runner.ts"
import * as AttemptScripts from "./scripts/Attempt.ts"
import { rescue } from "./scripts/Rescue.ts"
import { settle } from "./scripts/Settle.ts"
import { namesOf, stateNames, textsOf } from "./Text.ts"

const runExtend = script<string>(AttemptScripts.extend)
const runReport = script<number>(AttemptScripts.report)
const runSettle = script<string>(settle)
const runRescue = script<ReadonlyArray<string | number>>(rescue)

const extendAnswers: Readonly<Record<string, ExtendAnswer>> = { H: "held", C: "cancel", L: "lost" }
const settleAnswers: Readonly<Record<string, SettleAnswer>> = { A: "applied", D: "already", S: "stale" }

/** The operations of one deployment. */
export const make = (runner: Runner, headStartMs: number, maxCrashes: number) => {
  const settleAll: Coalesced<Settlement, SettleAnswer> = (settlements) =>
    Effect.flatMap(
      Failure.packing("settle", () => {
        const args = [String(headStartMs)]
        for (const settlement of settlements) pushSettlement(args, settlement)
        return args
      }),
      (args) => Effect.map(runner("settle", runSettle, args), (letters) => lettersAs(letters, settleAnswers))
    )

  return {
    extend: (refs: ReadonlyArray<ClaimRef>, leaseForMs: number): Effect.Effect<
      ReadonlyArray<ExtendAnswer>,
      StoreError
    > =>
      Effect.map(
        runner("extend", runExtend, [String(leaseForMs), ...refs.flatMap(({ claim, id }) => [id, String(claim)])]),
        (letters) => lettersAs(letters, extendAnswers)
      ),

    report: (reports: ReadonlyArray<ProgressReport>): Effect.Effect<void, StoreError> =>
      Effect.asVoid(
        runner("report", runReport, reports.flatMap(({ claim, id, progress }) => [id, String(claim), String(progress)]))
      ),

    settle: settleAll,

    rescue: (
      { earliest, latest, limit, maxAheadMs, maxOffMs }: RescueRequest
    ): Effect.Effect<RescueAnswer, StoreError> =>
      Effect.map(
        runner(
          "rescue",
          runRescue,
          [headStartMs, limit, maxCrashes, earliest, latest, maxAheadMs, maxOffMs].map(String)
        ),
        ([now, ...answer]) => ({
          now: Number(now),
          rescued: Array.from({ length: answer.length / 5 }, (_, index): Rescued => {
            const [id, lane, letter, crashes, attempt] = answer.slice(index * 5)
            return {
              id: String(id),
              type: namesOf(String(lane))[1],
              state: letter === "W" ? "pending" : stateNames[String(letter)]!,
              crashes: Number(crashes),
              attempt: Number(attempt)
            }
          })
        })
      )
  }
}

/** A settlement as the script reads it: id, kind with claim number, and what it brings. */
const pushSettlement = (args: Array<string>, settlement: Settlement): void => {
  const { claim, id } = settlement
  switch (settlement._tag) {
    case "Complete":
      args.push(id, `C${claim}`, settlement.result)
      break
    case "Retry":
      args.push(id, `T${claim}`, `${settlement.delayMs}\n${textsOf(settlement.failure)}`)
      break
    case "Fail":
      args.push(id, `F${claim}`, textsOf(settlement.failure))
      break
    case "Cancel":
      args.push(id, `X${claim}`, "")
      break
    case "Snooze":
      args.push(id, `Z${claim}`, String(settlement.delayMs))
      break
    case "Release":
      args.push(id, `L${claim}`, "")
  }
}

/** Answers of a letter each. */
export const lettersAs = <A>(letters: string, answers: Readonly<Record<string, A>>): ReadonlyArray<A> =>
  Array.from(letters, (letter) => answers[letter]!)
