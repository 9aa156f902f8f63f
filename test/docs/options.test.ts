/** The pages about options and methods name all that the sources have, and nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

/** The members of an interface, or of a service's interface, at the top of their body. */
const membersOf = (file: string, head: string): ReadonlyArray<string> => {
  const [, after] = read(file).split(head) as [string, string | undefined]
  assert.isDefined(after, `${file} has no ${head}`)
  const body = after!.slice(0, after!.indexOf("\n}"))
  return [...body.matchAll(/^  readonly (\w+)\??:/gm)].map(([, name]) => name!)
}

const optionsOf = (file: string) => membersOf(file, "export interface Options")

/** The names in the first column of a page's tables, from one heading to the next. */
const namedOn = (page: string, heading: string): ReadonlySet<string> => {
  const text = read(page)
  const from = text.indexOf(heading)
  assert.isAtLeast(from, 0, heading)
  const until = text.indexOf("\n## ", from + heading.length)
  const rows = text.slice(from, until < 0 ? undefined : until).matchAll(/^\| ([^|]+) \|/gm)
  return new Set([...rows].flatMap(([, cell]) => [...cell!.matchAll(/`([\w.]+)/g)].map(([, name]) => name!)))
}

const prefixed = (prefix: string, names: ReadonlyArray<string>, without: ReadonlyArray<string> = []) =>
  names.filter((name) => !without.includes(name)).map((name) => `${prefix}.${name}`)

const same = (named: ReadonlySet<string>, expected: ReadonlyArray<string>) => {
  assert.isAbove(expected.length, 0)
  assert.deepStrictEqual([...named].toSorted(), expected.toSorted())
}

describe("the page about the engine", () => {
  it("has every option of Engine.layer", () => {
    const groups = ["queue", "worker", "rescuer", "retention"]
    const own = optionsOf("src/engine/Engine.ts")
    for (const group of groups) assert.include(own, group)
    same(namedOn("docs/engine.md", "# Options of the engine"), [
      ...own.filter((name) => !groups.includes(name)),
      ...prefixed("queue", optionsOf("src/queue/LocalTaskQueue.ts")),
      // The engine divides its own deadline among these, and has one option for how long logs are kept, and for limits
      ...prefixed("worker", optionsOf("src/worker/PoolOptions.ts"), [
        "gracePeriod",
        "resistPeriod",
        "flushPeriod",
        "keepLogs",
        "limitsOfQueues"
      ]),
      ...prefixed("rescuer", optionsOf("src/maintenance/Rescuer.ts"), ["lease"]),
      ...prefixed("retention", optionsOf("src/maintenance/Pruner.ts"))
    ])
  })

  it("has every option that all stores share", () => {
    const shared = membersOf("src/store/Driver.ts", "export interface StoreSettings")
    const named = namedOn("docs/engine.md", "## The store")
    assert.deepStrictEqual(shared.filter((name) => !named.has(name)), [])
  })
})

describe("the page about TaskQueue", () => {
  it("has every method", () => {
    const methods = membersOf("src/queue/TaskQueue.ts", "export class TaskQueue extends")
    const named = namedOn("docs/queue.md", "# TaskQueue")
    assert.deepStrictEqual(methods.filter((name) => !named.has(name)), [])
  })
})

describe("the page about writing tasks", () => {
  it("has every member of TaskContext", () => {
    const members = membersOf("src/worker/TaskContext.ts", "export class TaskContext extends")
    const named = namedOn("docs/tasks.md", "## Handle")
    assert.deepStrictEqual(members.filter((name) => !named.has(name)), [])
  })

  it("has every option of an enqueue and of a definition", () => {
    const enqueue = membersOf("src/queue/Submission.ts", "export interface EnqueueOptions")
    const named = namedOn("docs/tasks.md", "## Enqueue")
    assert.deepStrictEqual(enqueue.filter((name) => !named.has(name)), [])
    const definition = membersOf("src/TaskOptions.ts", "export interface Options<")
    const defined = namedOn("docs/tasks.md", "## Define")
    const plain = [...defined].map((name) => name.split(".")[0]!)
    assert.deepStrictEqual(definition.filter((name) => !plain.includes(name)), [])
  })
})

describe("the page about a server", () => {
  it("has every option of TaskServer.layer", () => {
    const rates = membersOf("src/http/RateLimits.ts", "export interface Options")
    same(namedOn("docs/server.md", "## Options of the server"), [
      ...optionsOf("src/http/TaskServer.ts"),
      ...optionsOf("src/http/Routes.ts").filter((name) => name !== "rateLimits"),
      ...prefixed("rateLimits", rates)
    ])
  })
})

describe("the page about runtimes", () => {
  it("has the versions that are tried", () => {
    const { dependencies } = JSON.parse(read("test/runtimes/installed/package.json"))
    const { devDependencies } = JSON.parse(read("package.json"))
    const page = read("docs/runtimes.md")
    for (const [name, version] of Object.entries<string>({ ...dependencies, node: devDependencies.node })) {
      if (name !== "esbuild") assert.include(page, version.replace("npm:node@", ""), name)
    }
  })
})
