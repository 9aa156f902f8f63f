export { ResultNeverComes } from "./ResultNeverComes.ts"
export * as Simulation from "./Simulation.ts"
export { TestEngine } from "./TestEngine.ts"
