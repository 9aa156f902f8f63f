export { ResultNeverComes } from "./ResultNeverComes.ts"
export * as Simulation from "./Simulation.ts"
export {
  Machine,
  type Outcome as SimulationOutcome,
  type Result as SimulationResult,
  Simulation as SimulationService,
  World
} from "./Simulation.ts"
export {
  type Drained,
  type Enqueued,
  type Expected,
  NotEnqueued,
  type Options as TestEngineOptions,
  TestEngine
} from "./TestEngine.ts"
export { Snoozed } from "../worker/Attempt.ts"
