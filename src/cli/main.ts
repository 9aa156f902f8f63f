#!/usr/bin/env node
/** The program `taskforge`. It loads no more than it needs for what it was asked. */
import * as HelpPages from "./HelpPages.ts"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major < 22 || major === 22 && minor < 19) {
  process.stderr.write(`taskforge needs Node 22.19 or newer, this is ${process.versions.node}\n`)
  process.exitCode = 1
} else {
  const page = HelpPages.find(process.argv.slice(2), import.meta.dirname)
  if (page === undefined) void import("./Program.ts")
  else {
    // its reader has gone, as in `taskforge --help | head`
    process.stdout.on("error", () => process.exit(0))
    process.stdout.write(`${HelpPages.shown(page, HelpPages.terminal())}\n`)
  }
}
