/**
 * Workflows of Effect on TaskForge, as `taskforge/workflow`. `Workflow`, `Activity` and everything else come from `effect/workflow`.
 */
export * as TaskForgeWorkflows from "./TaskForgeWorkflows.ts"
export type { Input as ExecutionInput, Options as ExecutionOptions } from "./ExecutionTask.ts"
