/**
 * Seeds under which the engine, or the simulation itself, once failed. They are run for ever, with the scenarios that they had then: without
 * what was added later.
 */
export const regressions: ReadonlyArray<{
  readonly seed: number
  /** What was wrong. */
  readonly reason: string
}> = [
  { seed: 302, reason: "the claimer waited longer than a lease for the answer that tells which tasks it still holds" },
  { seed: 2001634, reason: "an attempt that was interrupted before its first step was not seen to end" },
  { seed: 3008709, reason: "a late hint of an earlier cancel interrupted the attempt after a rerun" },
  {
    seed: 500036651,
    reason: "a short late task, unseen by the simulation, kept a pool from asking for all it had room for"
  },
  {
    seed: 910000316,
    reason: "a request to rescue, sent before its sender had seen the clock set back, outlasted the machine's sleep"
  },
  {
    seed: 920000507,
    reason: "an end that no store can keep came after its time limit, and the simulation knew no such case"
  },
  {
    seed: 388636853,
    reason: "a dead process's request to rescue came nine seconds late, and the clock had been set back meanwhile"
  },
  {
    seed: 717622321,
    reason: "the clock was set back while the store was slow to answer, and what it showed before was forgotten by then"
  },
  {
    seed: 930336080,
    reason:
      "a process whose clock runs fast gave a task up after its own five seconds, and the simulation counted by another"
  },
  {
    seed: 876364573,
    reason: "the store's clock was set back, and a sleep of the whole machine after it looked like a part of that step"
  },
  {
    seed: 853515125,
    reason:
      "a pool's last two claims went unanswered, and the simulation took the few tasks that they asked for for a lost slot"
  },
  { seed: 777, reason: "a line was looked at a millisecond after its token had come" },
  { seed: 119708662, reason: "a line that was parked was filed behind its first task when a later one came" },
  { seed: 9, reason: "a task that had waited for too long took the payload of one with its key, and never ran" },
  { seed: 172997726, reason: "a task was compared with the payload that another one of its call had replaced" },
  {
    seed: 408994048,
    reason: "a task that had started left its order for another payload, and others waited for it for ever"
  },
  { seed: 966337364, reason: "a task that was stored before the clock was set back was not too late by it" },
  { seed: 5001342, reason: "the store's clock was set back, and a sleep that was over began once more" },
  {
    seed: 835498586,
    reason: "the clock was set back before a time at which a task was too old, so that another one had got its key"
  },
  {
    seed: 627212096,
    reason:
      "a task that was started from behind others of its line came back while its line still had it, and was given twice"
  },
  {
    seed: 444300657,
    reason:
      "a task of a higher priority brought the turn of its key forward, and claims looked for the key where it had stood before"
  }
]
