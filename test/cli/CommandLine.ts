/** Runs command lines in this process, on a terminal that is made up, and against whichever server a test has. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Stdio, Stream } from "effect"
import { HttpServer as Listener } from "effect/http"
import { TestConsole } from "effect/testing"
import * as Cli from "../../src/cli/Cli.ts"
import { Screen } from "../../src/cli/Screen.ts"

/** What a command line finds around it. */
export interface Options {
  readonly stdin?: string
  /** A person's terminal, 80 columns wide and coloured, rather than a pipe. */
  readonly terminal?: boolean
  readonly columns?: number
  readonly colours?: boolean
  readonly environment?: Readonly<Record<string, string>>
  /** Is told of each part of stdout as it is written. */
  readonly onWrite?: (text: string) => void
}

/** What it left behind. */
export interface Done {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** What is on stdout, by lines. */
  readonly lines: ReadonlyArray<string>
}

/** Runs `taskforge` with these arguments. */
export const taskforge = Effect.fnUntraced(function*(args: ReadonlyArray<string>, options: Options = {}) {
  const { colours = false, columns = 80, environment = {}, onWrite, stdin = "", terminal = false } = options
  let stdout = ""
  let stderr = ""
  const screen = Screen.of({
    isTerminal: terminal,
    animates: terminal,
    colours,
    columns: Effect.succeed(terminal ? columns : Infinity),
    rows: Effect.succeed(24),
    write: (text) =>
      Effect.sync(() => {
        stdout += text
        onWrite?.(text)
      }),
    writeError: (text) => Effect.sync(() => void (stderr += text))
  })
  const layer = Layer.mergeAll(
    Layer.succeed(Screen, screen),
    Layer.fresh(TestConsole.layer),
    ConfigProvider.layer(ConfigProvider.fromUnknown(environment))
  ).pipe(
    Layer.provideMerge(Layer.merge(
      NodeServices.layer,
      Stdio.layerTest({ stdin: stdin === "" ? Stream.empty : Stream.encodeText(Stream.succeed(stdin)) })
    ))
  )
  const code = yield* Effect.provide(
    Effect.tap(Cli.run(args), () =>
      Effect.map(TestConsole.logLines, (lines) => {
        stdout = lines.map(String).map((line) => `${line}\n`).join("") + stdout
      })),
    layer
  )
  return { code, stdout, stderr, lines: stdout === "" ? [] : stdout.trimEnd().split("\n") } satisfies Done
})

/** The same against the server of the test. */
export const onServer = (args: ReadonlyArray<string>, options: Options = {}) =>
  Effect.flatMap(Listener.HttpServer, ({ address }) =>
    taskforge(args, {
      ...options,
      environment: { TASKFORGE_URL: Listener.formatAddress(address), ...options.environment }
    }))

/** What must have succeeded, without a word on stderr. */
export const succeeding = <E, R>(done: Effect.Effect<Done, E, R>): Effect.Effect<Done, E, R> =>
  Effect.tap(
    done,
    ({ code, stderr }) => Effect.sync(() => assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" }))
  )

/** What must have failed with this code, without a word on stdout: the words on stderr. */
export const failing = <E, R>(code: number, done: Effect.Effect<Done, E, R>): Effect.Effect<string, E, R> =>
  Effect.map(done, (found) => {
    assert.deepStrictEqual({ code: found.code, stdout: found.stdout }, { code, stdout: "" }, found.stderr)
    return found.stderr
  })

/** Lines of JSON, read. */
export const jsonOf = ({ lines }: Done): ReadonlyArray<any> => lines.map((line) => JSON.parse(line))
