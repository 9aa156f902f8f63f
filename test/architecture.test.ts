import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { circlesIn, forbiddenImports, type ImportTable, packagesReachedFrom } from "./architecture/ImportTable.ts"
import { anyCastsOf, importsOf, lineCount, readSourceTree } from "./architecture/SourceTree.ts"

const contracts = ["domain", "store", "observability"]
const loops = [
  "explain",
  "flow",
  "logs",
  "operation",
  "queue",
  "remote",
  "worker",
  "maintenance",
  "events",
  "schedule",
  "statistics"
]
const drivers = ["store/memory", "store/sqlite", "store/postgres", "store/redis"]
const library = [
  ...contracts,
  ...loops,
  "Batch.ts",
  "Breaker.ts",
  "Limit.ts",
  "Signal.ts",
  "Step.ts",
  "Unique.ts",
  "Task.ts",
  "engine"
]
/** What the task types that ship with it stand on. */
const rim = ["handlers/outbound", "handlers/files", "handlers/data", "handlers/mail"]
/** Those task types. */
const work = ["handlers", "threads", ...rim]

/** Imports point down only. `index.ts` and `main.ts` are imported by nobody. */
const table: ImportTable = {
  modules: {
    "domain": [],
    "store": ["domain"],
    "store/memory": ["domain", "store"],
    "store/sqlite": ["domain", "store"],
    "store/postgres": ["domain", "store"],
    "store/redis": ["domain", "store"],
    "observability": ["domain", "store"],
    "events": contracts,
    "explain": [...contracts, "flow"],
    "flow": contracts,
    "logs": contracts,
    "operation": [...contracts, "flow", "logs"],
    "queue": [...contracts, "explain", "flow", "logs", "operation"],
    "worker": [...contracts, "flow", "logs"],
    "remote": [...contracts, "logs", "worker"],
    "maintenance": [...contracts, "flow", "logs", "operation"],
    "schedule": [...contracts, "queue"],
    "statistics": [...contracts, "maintenance"],
    "Batch.ts": [...contracts, "flow", "queue", "worker"],
    "Breaker.ts": ["domain", "worker"],
    "Limit.ts": ["domain"],
    "Signal.ts": ["domain", "flow", "worker"],
    "Step.ts": ["domain", "flow", "Signal.ts", "worker"],
    "Unique.ts": ["domain"],
    "Task.ts": [...contracts, "Breaker.ts", "Limit.ts", "TaskOptions.ts", "Unique.ts", "queue", "schedule", "worker"],
    "TaskOptions.ts": ["domain", "Breaker.ts", "Limit.ts", "Unique.ts"],
    "threads": ["domain", "flow", "logs", "worker"],
    "import": ["domain", "store/redis"],
    "backup": contracts,
    "check": [...contracts, "flow", "queue", "schedule"],
    "engine": [...contracts, ...drivers, ...loops],
    "workflow": [...contracts, "flow", "queue", "Task.ts", "worker"],
    "handlers": [...library, "threads", ...rim],
    "handlers/outbound": ["domain"],
    "handlers/files": ["domain"],
    "handlers/data": ["domain"],
    "handlers/mail": ["domain", "handlers/files"],
    "config": ["domain", "handlers/outbound"],
    "testing": [...library, "store/memory"],
    "access": ["domain", "store"],
    "http/api": ["domain"],
    "dashboard": ["http/api"],
    "http": [...library, "access", "dashboard", "handlers", "http/api", "store/memory"],
    "server": [...library, ...drivers, "access", "backup", "config", ...work, "http/api", "http"],
    "cli": [
      ...library,
      ...drivers,
      "access",
      "backup",
      "check",
      "config",
      "import",
      ...work,
      "http/api",
      "http",
      "server"
    ],
    "index.ts": [...library, "access", "store/memory", "threads"],
    "main.ts": ["server"]
  },
  // The wire knows the shape of what it carries, and loads nothing of those who give it
  types: { "http/api": ["operation", "store", "queue", "schedule", "worker", "explain", "flow", "logs", "statistics"] },
  packages: {
    "default": ["effect", "node"],
    "domain": ["effect"],
    "config": ["effect"],
    "import": ["effect", "node", "@effect/sql-pg"],
    "handlers": ["effect", "node", "sharp"],
    "handlers/outbound": ["effect", "node", "@effect/platform-node"],
    "handlers/mail": ["effect", "node", "nodemailer"],
    "http/api": ["effect"],
    "store/postgres": ["effect", "node", "@effect/sql-pg"],
    "store/redis": ["effect", "node", "redis"],
    "http": ["effect", "node", "@effect/platform-node"],
    "cli": ["effect", "node", "@effect/platform-node"],
    "server": ["effect", "node", "@effect/platform-node"]
  }
}

const maxLines = 350
/** A driver says the same in another language too: SQL or Lua. */
const maxDriverLines = 500
/** A shorter file is opened for nothing, unless others begin with it. */
const minLines = 15
const isEntry = (path: string) => /(^|\/)(index|main|server)\.ts$|\.thread\.ts$/.test(path)
/** Files of a folder, those in its folders among them. */
const maxFiles = { http: 92, cli: 52, "cli/commands": 33, store: 133 }
const maxTopEntries = 18
const isIgnored = (name: string) => /^(\.git|node_modules|dist|coverage|data)$|\.(log|tgz|db|db-shm|db-wal)$/.test(name)
const vagueName = /(^|[^a-z])(utils?|helpers?|common|managers?)($|[^a-z])/i
const unfinished = /\b(TODO|FIXME)\b/

const tree = readSourceTree(fileURLToPath(new URL("../src", import.meta.url)))
const files = [...tree]

describe("the sources", () => {
  it("import downwards only", () => {
    assert.isAbove(files.length, 0)
    assert.deepStrictEqual(forbiddenImports(tree, table), [])
  })

  it("import themselves nowhere, not even by way of others and for types", () => {
    assert.deepStrictEqual(circlesIn(tree), [])
  })

  it("let a program embed the engine with effect alone", () => {
    for (const entry of ["index.ts", "store/sqlite/index.ts"].filter((path) => tree.has(path))) {
      const others = packagesReachedFrom(entry, tree).filter((name) => name !== "effect" && name !== "node")
      assert.deepStrictEqual(others, [], entry)
    }
  })

  it(`keep each file within ${maxLines} lines, or ${maxDriverLines} in a driver`, () => {
    const isDriver = (path: string) => drivers.some((driver) => path.startsWith(`${driver}/`))
    const tooLong = files
      .map(([path, text]) => ({ path, lines: lineCount(text) }))
      .filter(({ lines, path }) => lines > (isDriver(path) ? maxDriverLines : maxLines))
    assert.deepStrictEqual(tooLong, [])
  })

  it(`keep no file below ${minLines} lines but entries`, () => {
    const tooShort = files.filter(([path, text]) => !isEntry(path) && lineCount(text) < minLines).map(([path]) => path)
    assert.deepStrictEqual(tooShort, [])
  })

  it.each(Object.entries(maxFiles))("keep %s within %i files", (folder, max) => {
    const found = files.filter(([path]) => path.startsWith(`${folder}/`)).map(([path]) => path)
    assert.isAbove(found.length, 0)
    assert.isAtMost(found.length, max, found.join(", "))
  })

  it("are explained: the page about the architecture says where to begin in each folder", () => {
    const page = readFileSync(fileURLToPath(new URL("../docs/architecture.md", import.meta.url)), "utf8")
    const folders = new Set(files.map(([path]) => path.split("/").slice(0, -1).join("/")).filter((path) => path !== ""))
    const told = new Set(
      Array.from(page.matchAll(/^\| `([\w/]+)` \| \[\w+\.ts\]\(\.\.\/src\/\1\/\w+\.ts\)/gm), ([, one]) => one!)
    )
    const within = ["cli/commands", "store/redis/scripts"]
    assert.deepStrictEqual([...folders].filter((path) => !told.has(path) && !within.includes(path)), [])
    assert.deepStrictEqual([...told].filter((path) => !folders.has(path)), [])
  })

  it("name each file for one concept", () => {
    assert.deepStrictEqual(files.map(([path]) => path).filter((path) => vagueName.test(spaced(path))), [])
  })

  it("read the wall clock only for times that are shown, stored or compared with such", () => {
    const found = files.filter(([, text]) => /\b(?:currentTime(?:Millis|Nanos)|utcNow)/.test(text)).map(([path]) =>
      path
    )
    assert.deepStrictEqual(found.filter((path) => !readsWallClock.test(path)), [])
  })

  it("give programs values where stores keep numbers and texts: times, durations, payloads and results", () => {
    const isRead =
      /^(?:Task|access\/\w+|engine\/Engine|events\/EventFeed|observability\/Supervisor|queue\/(?!Submission)\w+|testing\/TestEngine|worker\/(?:TaskContext|WorkerPool))\.ts$/
    const asStored = /readonly (?:\w*At|at|since|until|now|\w+Ms|payload|result)\??: (?:number|string)\b/g
    const read = files.filter(([path]) => isRead.test(path))
    assert.isAtLeast(read.length, 12)
    const found = read.flatMap(([path, text]) =>
      Array.from(text.matchAll(/^export (?:interface|class) [^]*?^\}/gm)).flatMap(([declaration]) =>
        Array.from(declaration!.matchAll(asStored), ([field]) => `${path}: ${field}`)
      )
    )
    assert.deepStrictEqual(found, [])
  })

  it("give a steady clock to those parts of libraries that measure by the wall clock", () => {
    const measuring = /\b(?:CircuitBreaker\.layer|Pool\.makeWithTTL|ScopedCache\.|Cache\.make|cached\w*WithTTL)\b/
    const found = files.filter(([, text]) => measuring.test(text))
    assert.isAbove(found.length, 0)
    assert.deepStrictEqual(
      found.filter(([, text]) => !text.includes("MonotonicClock.steady")).map(([path]) => path),
      []
    )
  })

  it("have no casts to any", () => {
    assert.deepStrictEqual(files.flatMap(([path, text]) => anyCastsOf(path, text).map((line) => `${path}:${line}`)), [])
  })

  it("find no service by chance: a layer that is missing is a type error", () => {
    const found = files.filter(([, text]) => /\bserviceOption\b/.test(text)).map(([path]) => path)
    assert.deepStrictEqual(found, [])
  })

  it("leave nothing to be done later", () => {
    assert.deepStrictEqual(files.filter(([, text]) => unfinished.test(text)).map(([path]) => path), [])
  })
})

describe("the top of the repository", () => {
  it(`has no more than ${maxTopEntries} entries`, () => {
    const entries = readdirSync(fileURLToPath(new URL("..", import.meta.url))).filter((name) => !isIgnored(name))
    assert.include(entries, "package.json")
    assert.isAtMost(entries.length, maxTopEntries, entries.join(", "))
  })
})

/**
 * What stores, shows or compares times of a calendar: drivers, files, signatures, the tables of the command line. All else
 * measures, by `MonotonicClock`: the wall clock may be set while it does.
 */
const readsWallClock = new RegExp(
  "^(?:" + [
    "cli/commands/(?:DeadLetters|Get|Keys|List|Operations|Watch)",
    "domain/(?:MonotonicClock|StoredTime)",
    "events/RecordedStore",
    "flow/Steps",
    "handlers/(?:Cleanup|Webhook|files/AtomicFile|outbound/OutboundClient)",
    "http/(?:Probes|SystemStatus)",
    "observability/(?:Supervisor|Tracing)",
    "remote/RemoteClaims",
    "store/(?:WriteHealth|memory/(?:Events|MemoryStore|Records)|sqlite/(?:Instances|SqliteStore|Writer))",
    "worker/Claimer",
    "testing/\\w+",
    "workflow/(?:Activities|Execution)"
  ].join("|") + ")\\.ts$"
)

describe("the checks on the sources", () => {
  const forbidden = (path: string, text: string, ...others: ReadonlyArray<string>) =>
    forbiddenImports(new Map([[path, text], ...others.map((other) => [other, ""] as const)]), table)

  const upwards = [
    `import { TaskQueue } from "../queue/TaskQueue.ts"`,
    `import type { TaskQueue } from "../queue/TaskQueue.ts"`,
    `import * as TaskQueue from "../queue/TaskQueue.ts"`,
    `import "../queue/TaskQueue.ts"`,
    `export * from "../queue/TaskQueue.ts"`,
    `export type { TaskQueue } from "../queue/TaskQueue.ts"`,
    `const load = () => import("../queue/TaskQueue.ts")`,
    `type Queue = import("../queue/TaskQueue.ts").TaskQueue`
  ]
  it.each(upwards)("catch an import that points up: %s", (statement) => {
    assert.deepStrictEqual(forbidden("domain/Task.ts", statement, "queue/TaskQueue.ts"), [
      "domain/Task.ts imports ../queue/TaskQueue.ts: domain may import nothing else"
    ])
  })

  it.each([
    ["a neighbour on the same level", "worker/Executor.ts", `import "../queue/TaskQueue.ts"`, "queue/TaskQueue.ts"],
    ["one driver in another", "store/redis/A.ts", `import "../memory/B.ts"`, "store/memory/B.ts"],
    ["a driver in its contract", "store/TaskStore.ts", `import "./memory/B.ts"`, "store/memory/B.ts"],
    ["handlers in API definitions", "http/api/TasksApi.ts", `import "../Handlers.ts"`, "http/Handlers.ts"],
    ["a value of what only types may come from", "http/api/A.ts", `import { B } from "../../queue/B.ts"`, "queue/B.ts"],
    ["the public index", "engine/Engine.ts", `import "../index.ts"`, "index.ts"],
    ["a file outside src", "domain/Task.ts", `import "../../test/Task.ts"`, "domain/Other.ts"],
    ["a file that does not exist", "domain/Task.ts", `import "./Missing.ts"`, "domain/Other.ts"],
    ["a package below the rim", "queue/TaskQueue.ts", `import "@effect/platform-node/NodeRuntime"`, "domain/Task.ts"],
    ["what Node has built in, in the domain", "domain/Task.ts", `import "node:fs"`, "domain/Other.ts"]
  ])("catch %s", (_, path, statement, other) => {
    assert.strictEqual(forbidden(path, statement, other).length, 1)
  })

  it("catch a module that the table does not know", () => {
    assert.deepStrictEqual(forbidden("shared/Thing.ts", ""), [
      "shared/Thing.ts belongs to no module of the import table"
    ])
  })

  it("pass what points down, and words that only look like imports", () => {
    const text = `import { Effect } from "effect"
      // import "../main.ts"
      const text = 'import "../main.ts"'
      import { TaskStore } from "../store/TaskStore.ts"`
    assert.deepStrictEqual(forbidden("queue/TaskQueue.ts", text, "store/TaskStore.ts", "main.ts"), [])
    assert.strictEqual(importsOf("queue/TaskQueue.ts", text).length, 2)
    assert.deepStrictEqual(forbidden("http/api/A.ts", `import type { B } from "../../queue/B.ts"`, "queue/B.ts"), [])
  })

  it("catch files that import each other, however, and by way of others, and pass two ways to one file", () => {
    const circles = (sources: Readonly<Record<string, string>>) => circlesIn(new Map(Object.entries(sources)))
    assert.deepStrictEqual(
      circles({
        "a.ts": `import type { B } from "./b.ts"`,
        "b.ts": `import("./c.ts")`,
        "c.ts": `export * from "./a.ts"`
      }),
      ["a.ts → b.ts → c.ts → a.ts", "b.ts → c.ts → a.ts → b.ts", "c.ts → a.ts → b.ts → c.ts"]
    )
    assert.deepStrictEqual(circles({ "a.ts": `import "./a.ts"` }), ["a.ts → a.ts"])
    assert.deepStrictEqual(
      circles({ "a.ts": `import "./b.ts"; import "./c.ts"`, "b.ts": `import "./c.ts"`, "c.ts": "" }),
      []
    )
  })

  it("follow what an entry loads, past what is erased or loaded on demand", () => {
    const reached = packagesReachedFrom(
      "index.ts",
      new Map([
        ["index.ts", `export * from "./engine/Engine.ts"`],
        [
          "engine/Engine.ts",
          `import "@effect/platform-node/NodeRedis"; import type {} from "redis"; import("pg"); export * from "../index.ts"`
        ]
      ])
    )
    assert.deepStrictEqual(reached, ["@effect/platform-node"])
  })

  it("see casts to any, and vague names", () => {
    assert.deepStrictEqual(anyCastsOf("a.ts", `const a = 1 as any\nconst b = <any> a\nconst c = a as unknown`), [1, 2])
    assert.deepStrictEqual(
      ["utils/A.ts", "TaskManager.ts", "store/helpers.ts", "Commons.ts", "Task.ts"].filter((path) =>
        vagueName.test(spaced(path))
      ),
      ["utils/A.ts", "TaskManager.ts", "store/helpers.ts"]
    )
  })
})

/** `TaskManager` as two words, so that a vague name is found inside a longer one. */
function spaced(path: string) {
  return path.replace(/([a-z])([A-Z])/g, "$1 $2")
}
