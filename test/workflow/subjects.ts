/** The engines that a claim about workflows is tested on: Effect's own one in memory, and ours on every store. */
import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { WorkflowEngine } from "effect/workflow"
import * as Engine from "../../src/engine/Engine.ts"
import type { TaskQueue } from "../../src/queue/TaskQueue.ts"
import type { RecordStore } from "../../src/store/RecordStore.ts"
import type { TaskStore } from "../../src/store/TaskStore.ts"
import type { WorkerPool } from "../../src/worker/WorkerPool.ts"
import { TaskForgeWorkflows } from "../../src/workflow/index.ts"
import type { Driver } from "../store/conformance/driver.ts"

/** What a body may ask of our engine. */
export type Ours = WorkflowEngine.WorkflowEngine | TaskQueue | WorkerPool | RecordStore | TaskStore

/** The layers of workflows, as a program has them. */
export type Workflows = Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>

/** An engine. */
export interface Subject {
  readonly isOurs: boolean
  readonly layer: (workflows: Workflows) => Layer.Layer<Ours, unknown>
}

/** Effect's own engine in memory. */
export const effects: Subject = {
  isOurs: false,
  layer: (workflows) => Layer.provideMerge(workflows, WorkflowEngine.layerMemory) as Layer.Layer<Ours, unknown>
}

/** The engine with workflows, on a store that is provided. */
export const engineWith = (workflows: Workflows, options: Engine.Options = {}) =>
  TaskForgeWorkflows.layer.pipe(
    Layer.provideMerge(Engine.layer(Layer.provide(workflows, TaskForgeWorkflows.layer), {
      shutdown: "2 seconds",
      ...options
    }))
  )

/** Ours on a store. */
export const ours = (driver: Driver): Subject => ({
  isOurs: true,
  layer: (workflows) => Layer.provideMerge(engineWith(workflows), driver.layer({}))
})

/** What a claim needs: workflows, and what must hold of them. */
export interface Claim<R> {
  readonly workflows: Workflows
  readonly body: Effect.Effect<void, unknown, R>
}

/** A claim that holds of Effect's engine in memory as well. */
export const both = (
  subject: Subject,
  name: string,
  claim: () => Claim<WorkflowEngine.WorkflowEngine>
): void => {
  it.live(name, () => run(subject, claim()), 60_000)
}

/** A claim that holds of ours: Effect's does otherwise, or has nothing of the kind. */
export const only = (subject: Subject, name: string, claim: () => Claim<Ours>): void => {
  if (subject.isOurs) it.live(name, () => run(subject, claim()), 60_000)
}

const run = (subject: Subject, { body, workflows }: Claim<Ours>) =>
  Effect.provide(body, subject.layer(workflows)) as Effect.Effect<void, unknown>

/** Waits until something holds. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.suspend(() =>
    Effect.flatMap(
      condition,
      (holds) => holds ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(condition))
    )
  )
