/** What this process uses: processor, memory, and how late its event loop is. Read when the metrics are. */
import { Effect, Metric, type Scope } from "effect"
import { EventLoopDelay } from "./EventLoopDelay.ts"
import { counters } from "./Metrics.ts"

const cpu = counters("taskforge_process_cpu_seconds_total", "Processor time that this process has used, by mode")
const resident = Metric.gauge("taskforge_process_resident_bytes", { description: "Memory of this process" })
const heap = Metric.gauge("taskforge_process_heap_bytes", {
  description: "Memory of JavaScript objects in this process"
})
const uptime = Metric.gauge("taskforge_process_uptime_seconds", { description: "How long this process has run" })
const delay = Metric.gauge("taskforge_event_loop_delay_seconds", {
  description: "How late the event loop came to its timers on average since the metrics were read before"
})

/** Microseconds of the processor. */
interface Used {
  readonly user: number
  readonly system: number
}

/** Starts to measure, until the scope closes; what it answers brings the metrics up to date. */
export const make: Effect.Effect<Effect.Effect<void>, never, Scope.Scope> = Effect.map(
  Effect.flatten(EventLoopDelay),
  (delayMs) => {
    let told: Used = { user: 0, system: 0 }
    return Effect.gen(function*() {
      const used: Used = process.cpuUsage()
      const memory = process.memoryUsage()
      for (const mode of ["user", "system"] as const) {
        yield* Metric.update(cpu({ mode }), Math.max(0, used[mode] - told[mode]) / 1e6)
      }
      told = used
      yield* Metric.update(resident, memory.rss)
      yield* Metric.update(heap, memory.heapUsed)
      yield* Metric.update(uptime, process.uptime())
      yield* Metric.update(delay, (yield* delayMs) / 1000)
    })
  }
)
