import type { Vite } from "vitest/node"

/** Takes one project out of the coverage, which vitest otherwise measures in all or in none. */
export const withoutCoverage: Vite.Plugin = {
  name: "without-coverage",
  configureVitest: ({ project }) => {
    project.config.coverage = { ...project.config.coverage, enabled: false }
  }
}
