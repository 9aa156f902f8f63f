/** How passes stand: how many tasks run with each, and what the rules say of it, looked up once for all tasks that have it. */
import { type Limit, type Pass, passesOf } from "../domain/Gate.ts"

/** Gates whose passes stay known while none of their tasks has a line or runs: 3 MB. */
const maxGates = 10_000

/** What the rules say of passes: see `Rules`. */
export interface PassRules {
  /** Another number once they may say something else. */
  readonly version: () => number
  readonly isPaused: (pass: Pass) => boolean
  readonly limitOf: (pass: Pass) => Limit | undefined
}

/** How a pass stands, as long as a line has it or a task runs with it. */
export class Standing {
  readonly pass: Pass
  /** Tasks that run with it. */
  running = 0
  /** Lines that have it, and gates that are known. */
  lines = 0
  /** As long as fewer run than this, it is open to each of its tasks; −1 where that takes more to decide. */
  max = -1
  /** Its limit, if that is one which a task changes when it starts. */
  changing: Limit | undefined
  private version = NaN

  constructor(pass: Pass) {
    this.pass = pass
  }

  /** Brings what the rules say up to date. */
  update(rules: PassRules, version: number): void {
    if (this.version === version) return
    this.version = version
    const limit = rules.limitOf(this.pass)
    this.changing = limit !== undefined && ("tokens" in limit || "order" in limit || "fair" in limit)
      ? limit
      : undefined
    if (rules.isPaused(this.pass)) this.max = -1
    else if (limit === undefined || "lifted" in limit || "fair" in limit) this.max = Infinity
    else this.max = "max" in limit && limit.notBefore === undefined ? limit.max : -1
  }
}

/** The passes of all lines and of the tasks that run. */
export class Standings {
  private readonly rules: PassRules
  private readonly byPass = new Map<Pass, Standing>()
  private readonly byGate = new Map<string, ReadonlyArray<Standing>>()

  constructor(rules: PassRules) {
    this.rules = rules
  }

  running(pass: Pass): number {
    return this.byPass.get(pass)?.running ?? 0
  }

  /** Those of the passes of a line, until it is gone. */
  ofLine(passes: ReadonlyArray<Pass>): ReadonlyArray<Standing> {
    const standings = this.of(passes)
    for (const standing of standings) standing.lines++
    return standings
  }

  /** Those of the passes of a gate, until the next ones are asked for. They are kept: the same keys come again and again. */
  ofGate(gate: string): ReadonlyArray<Standing> {
    let standings = this.byGate.get(gate)
    if (standings === undefined) {
      if (this.byGate.size >= maxGates) {
        for (const known of this.byGate.values()) this.lineGone(known)
        this.byGate.clear()
      }
      this.byGate.set(gate, standings = this.ofLine(passesOf(gate)))
    }
    return standings
  }

  /** To be called for a line that is gone. */
  lineGone(standings: ReadonlyArray<Standing>): void {
    for (const standing of standings) {
      standing.lines--
      this.drop(standing)
    }
  }

  /** Whether all are open to each of their tasks, so that nothing more has to be decided. */
  areOpen(standings: ReadonlyArray<Standing>): boolean {
    const version = this.rules.version()
    let areOpen = true
    for (let index = 0; index < standings.length; index++) {
      const standing = standings[index]!
      standing.update(this.rules, version)
      if (standing.running >= standing.max) areOpen = false
    }
    return areOpen
  }

  /** To be called for a task that begins to run with these passes. */
  start(standings: ReadonlyArray<Standing>): void {
    for (let index = 0; index < standings.length; index++) if (isFirst(standings, index)) standings[index]!.running++
  }

  /** The same for a task that was started before. */
  started(passes: ReadonlyArray<Pass>): ReadonlyArray<Standing> {
    const standings = this.of(passes)
    this.start(standings)
    return standings
  }

  /** To be called for a task that runs no more. */
  end(standings: ReadonlyArray<Standing>): void {
    for (let index = 0; index < standings.length; index++) {
      if (!isFirst(standings, index)) continue
      const standing = standings[index]!
      standing.running--
      this.drop(standing)
    }
  }

  /** To be called when nothing is known any more: lines, and tasks that run, are told again. */
  forget(): void {
    this.byPass.clear()
    this.byGate.clear()
  }

  private of(passes: ReadonlyArray<Pass>): ReadonlyArray<Standing> {
    return passes.map((pass) => {
      let standing = this.byPass.get(pass)
      if (standing === undefined) this.byPass.set(pass, standing = new Standing(pass))
      return standing
    })
  }

  /** Keys come and go with each task. */
  private drop(standing: Standing): void {
    if (standing.running === 0 && standing.lines === 0) this.byPass.delete(standing.pass)
  }
}

/** A task counts once, also where it names a pass twice. */
const isFirst = (standings: ReadonlyArray<Standing>, index: number): boolean =>
  index === 0 || standings.indexOf(standings[index]!) === index
