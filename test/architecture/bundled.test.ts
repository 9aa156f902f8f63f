/** The packages that users of the server run without installing them: what is in the bundles. */
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { build, type RolldownOutput } from "rolldown"
import cli from "../../scripts/rolldown.cli.config.ts"
import server from "../../scripts/rolldown.config.ts"

interface Entry {
  readonly version: string
  readonly integrity?: string
  readonly optional?: boolean
  readonly dev?: boolean
  readonly link?: boolean
}

const root = new URL("../../", import.meta.url)
const json = (path: string): unknown => JSON.parse(readFileSync(new URL(path, root), "utf8"))
const { packages } = json("package-lock.json") as { readonly packages: Readonly<Record<string, Entry>> }
const manifest = json("package.json") as {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

/** What the bundles are made of; SECURITY.md says how they are audited. A new one needs a look before it stands here. */
const known = [
  "@effect/platform-node",
  "@effect/platform-node-shared",
  "@effect/sql-pg",
  "@redis/bloom",
  "@redis/client",
  "@redis/json",
  "@redis/search",
  "@redis/time-series",
  "effect",
  "nodemailer",
  "redis",
  "undici",
  "ws"
]

/** What sources name themselves; the others come with these. */
const named = ["@effect/platform-node", "@effect/sql-pg", "effect", "nodemailer", "redis"]

/** Where the modules of a bundle come from, as the lock file has it. */
const placesIn = ({ output }: RolldownOutput): ReadonlyArray<string> =>
  output.flatMap((file) => file.type === "chunk" ? file.moduleIds : []).flatMap((id) => {
    const place = /(?:node_modules\/(?:@[^/]+\/)?[^/]+\/)+/.exec(id.replaceAll("\\", "/"))?.[0]
    return place === undefined ? [] : [place.slice(0, -1)]
  })

const bundled = async (): Promise<ReadonlyArray<string>> => {
  const places = new Set<string>()
  for (const config of [server, cli]) {
    const options = config as unknown as { readonly output: object }
    const made = await build({
      ...options,
      logLevel: "silent",
      write: false,
      output: { ...options.output, sourcemap: false }
    })
    for (const place of placesIn(made as RolldownOutput)) places.add(place)
  }
  return [...places].toSorted()
}

describe("the packages in the bundles", () => {
  it("are known, declared, and in the lock file with their versions and hashes", async () => {
    const places = await bundled()
    assert.deepStrictEqual(places, known.map((name) => `node_modules/${name}`))
    for (const place of places) {
      const entry = packages[place]
      assert.isDefined(entry, place)
      assert.strictEqual((json(`${place}/package.json`) as { readonly version: string }).version, entry!.version, place)
      assert.match(entry!.integrity ?? "", /^sha512-/, place)
    }
    for (const name of named) {
      assert.property({ ...manifest.dependencies, ...manifest.devDependencies }, name)
      assert.property(manifest.peerDependencies, name)
    }
  })
})

describe("the lock file", () => {
  it("has a hash of every package but two optional tools for other platforms, and README says so", () => {
    const without = Object.entries(packages).filter(([place, { integrity, link }]) =>
      place !== "" && link !== true && integrity === undefined
    )
    // Binaries of the formatter and of the type checker for other platforms than Linux on x64
    const tools = /^node_modules\/@(dprint\/|effect\/tsgo-)/
    for (const [place, { dev, optional }] of without) {
      assert.match(place, tools)
      assert.isTrue(dev === true && optional === true, place)
      assert.notInclude(place, "linux-x64-g", place)
    }
    assert.match(readFileSync(new URL("README.md", root), "utf8"), /without one are Node's binary.*dprint.*tsgo/s)
    const lock = readFileSync(new URL("package-lock.json", root), "utf8")
    assert.notMatch(lock, /"integrity": "(?!sha512-)/)
  })
})
