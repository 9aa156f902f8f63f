/** The files of a new project: one task with its handler, a server that runs it, and a test. */
import { version } from "../store/InstanceStore.ts"

/** What the project depends on, besides the package itself: the ranges that the package is tested with. */
export const dependencies: Readonly<Record<string, string>> = {
  "@effect/platform-node": "^4.1.0",
  effect: "^4.1.0"
}

/** What only its tests and its editor need. */
export const devDependencies: Readonly<Record<string, string>> = {
  "@effect/vitest": "^4.0.5",
  "@types/node": "^24.19.2",
  typescript: "~7.0.2",
  vitest: "^5.1.1"
}

/** Where a new server listens. */
export const port = 8080

/** The files by their paths. `name` is that of the package, `from` is where npm finds TaskForge: a version, a folder or an archive. */
export const files = (name: string, from: string = `^${version}`): ReadonlyMap<string, string> =>
  new Map([
    ["package.json", manifest(name, from)],
    ["tsconfig.json", compiler],
    [".gitignore", "node_modules/\ntasks.db*\n"],
    ["README.md", readme(name)],
    ["src/tasks.ts", tasks],
    ["src/main.ts", main],
    ["test/tasks.test.ts", test]
  ])

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

const manifest = (name: string, from: string): string =>
  json({
    name,
    version: "0.0.0",
    private: true,
    type: "module",
    engines: { node: ">=22.19.0" },
    scripts: { start: "node src/main.ts", test: "vitest run", types: "tsc" },
    dependencies: { ...dependencies, taskforge: from },
    devDependencies
  })

const compiler = json({
  compilerOptions: {
    target: "ES2024",
    lib: ["ES2024", "ESNext.Disposable", "ESNext.Iterator"],
    module: "nodenext",
    types: ["node"],
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    noEmit: true
  },
  include: ["src", "test"]
})

const tasks =
  `/** What this program does in the background. A definition says what a task takes and gives, its handler does it. */
import { Effect, Schema } from "effect"
import { Task } from "taskforge"

export const Welcome = Task.make("welcome", {
  payload: { name: Schema.NonEmptyString },
  success: Schema.Struct({ text: Schema.String }),
  retry: { times: 3 },
  timeout: "10 seconds"
})

export const WelcomeLive = Welcome.toLayer(Effect.fn("welcome")(function*({ name }) {
  yield* Effect.log(\`welcoming \${name}\`)
  return { text: \`Welcome, \${name}!\` }
}))
`

const main = `/** Runs tasks, and takes new ones over HTTP. Tasks are kept in tasks.db, so they survive a crash. */
import { NodeRuntime } from "@effect/platform-node"
import { Config, Effect, Layer } from "effect"
import { HttpServer } from "effect/http"
import { Engine } from "taskforge"
import { TaskCatalog, TaskServer } from "taskforge/server"
import { SqliteStore } from "taskforge/sqlite"
import { Welcome, WelcomeLive } from "./tasks.ts"

const Server = Layer.unwrap(
  Effect.map(Config.withDefault(Config.Port("PORT"), ${port}), (port) => TaskServer.layer({ port }))
)

const Listening = Layer.effectDiscard(Effect.gen(function*() {
  const { address } = yield* HttpServer.HttpServer
  yield* Effect.log(\`the dashboard is at \${HttpServer.formatAddress(address)}\`)
}))

const Live = Listening.pipe(
  Layer.provide(Server),
  Layer.provide(TaskCatalog.layer([Welcome])),
  Layer.provide(Engine.layer(WelcomeLive)),
  Layer.provide(SqliteStore.layer({ path: "tasks.db" }))
)

NodeRuntime.runMain(Layer.launch(Live))
`

const test = `import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestEngine } from "taskforge/testing"
import { Welcome, WelcomeLive } from "../src/tasks.ts"

it.effect("welcomes who is new", () =>
  Effect.gen(function*() {
    const engine = yield* TestEngine
    const task = yield* Welcome.enqueue({ name: "Ada" })
    yield* engine.drain
    assert.deepStrictEqual(yield* task.result, { text: "Welcome, Ada!" })
  }).pipe(Effect.provide(TestEngine.layer(WelcomeLive))))
`

const readme = (name: string): string =>
  `# ${name}

\`\`\`sh
npm install
npm test
npm start
\`\`\`

The server takes tasks at \`http://localhost:${port}\` (\`PORT\` changes that), and the page there shows them:

\`\`\`sh
curl localhost:${port}/api/v1/tasks -H 'content-type: application/json' -d '{"type": "welcome", "payload": {"name": "Ada"}}'
npx taskforge list
\`\`\`

[\`src/tasks.ts\`](src/tasks.ts) has the types of tasks, [\`src/main.ts\`](src/main.ts) runs them. To run several of these servers
on one queue, put \`PostgresStore\` of \`taskforge/postgres\` or \`RedisStore\` of \`taskforge/redis\` in the place of \`SqliteStore\`.
The pages in \`node_modules/taskforge/docs\` go on from here; begin with \`tasks.md\`.
`
