/** Variables that look as if they were meant for TaskForge, but name no setting: most likely misspelt. */
import { ConfigProvider, Effect } from "effect"
import { nearest } from "../domain/Quoting.ts"
import type { Variable } from "./Setting.ts"
import { table } from "./SettingsTable.ts"

const prefix = "TASKFORGE"

/** Kubernetes describes a service called "taskforge" to every container by variables like these. */
const ofKubernetes = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)=|^\w+_PORT=(tcp|udp):/

/** Where the command line finds a server; a shell that has them may start one too. */
const ofClients = ["TASKFORGE_URL", "TASKFORGE_API_KEY"]

const known: ReadonlyArray<string> = [...Object.values(table).flatMap((setting) => setting.names), ...ofClients]

/** One sentence for each unknown variable with our prefix. */
export const find: Effect.Effect<ReadonlyArray<string>, ConfigProvider.SourceError> = Effect.gen(function*() {
  const provider = yield* ConfigProvider.ConfigProvider
  const variables = yield* variablesBelow(provider, [prefix])
  return variables
    .filter((variable) => !known.includes(variable.name) && !ofKubernetes.test(`${variable.name}=${variable.text}`))
    .map(({ name }) => name)
    .toSorted()
    .map((name) => {
      const close = meant(name)
      return `${name} is not a setting` + (close === undefined ? "" : `; did you mean ${close}?`)
    })
})

const variablesBelow = (
  provider: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Variable>, ConfigProvider.SourceError> =>
  Effect.flatMap(provider.load(path), (node) => {
    if (node === undefined) return Effect.succeed([])
    const own = node.value === undefined ? [] : [{ name: path.join("_"), text: node.value }]
    const keys = node._tag === "Record" ? [...node.keys] : []
    return Effect.map(
      Effect.forEach(keys, (key) => variablesBelow(provider, [...path, key])),
      (below) => [...own, ...below.flat()]
    )
  })

/** The known name that was meant, compared without the prefix that all of them share. */
const meant = (name: string): string | undefined => {
  const close = nearest(withoutPrefix(name), known.map(withoutPrefix))
  return known.find((candidate) => withoutPrefix(candidate) === close)
}

const withoutPrefix = (name: string): string => name.replace(`${prefix}_`, "")
