/**
 * Workflows of Effect on TaskForge, as `taskforge/workflow`. `Workflow`, `Activity` and everything else come from `effect/workflow`.
 */
export * as TaskForgeWorkflows from "./TaskForgeWorkflows.ts"
