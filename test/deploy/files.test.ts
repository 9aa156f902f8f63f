/** The files in `deploy/`: they fit the schemas of those who read them, and name only settings that the server has. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import type { TestContext } from "vitest"
import { table } from "../../src/config/SettingsTable.ts"
import { findBinary } from "../servers/Program.ts"

const project = fileURLToPath(new URL("../../", import.meta.url))
const deploy = join(project, "deploy")

const settings = Object.values(table).flatMap((setting) => setting.names as ReadonlyArray<string>)

/** What is in a file of YAML, as far as a test looks at it. */
// oxlint-disable-next-line typescript/no-explicit-any
type Yaml = any

/** A program that a test asks. Without it the test is skipped loudly, or fails where `CI` is set. */
const needed = (context: TestContext, name: string, isInDebian = true): string => {
  const binary = findBinary([name])
  if (binary !== undefined) return binary
  if (isInDebian && (process.env["CI"] ?? "") !== "") assert.fail(`There is no ${name}`)
  console.warn(`SKIPPED: there is no ${name}`)
  return context.skip(`there is no ${name}`)
}

describe("the files for deployments", () => {
  /** The schemas, installed apart from the project: only this test needs them. */
  let folder: string
  let parse: (text: string) => ReadonlyArray<Yaml>
  let load: (name: string) => Yaml

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "taskforge-schemas-"))
    for (const name of ["package.json", "package-lock.json"]) {
      cpSync(join(import.meta.dirname, "schemas", name), join(folder, name))
    }
    execFileSync("npm", ["ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"], {
      cwd: folder,
      stdio: "pipe"
    })
    load = createRequire(join(folder, "package.json"))
    parse = (text) =>
      load("yaml").parseAllDocuments(text, { merge: true }).map((document: Yaml) => {
        assert.deepStrictEqual(document.errors, [])
        return document.toJS({ maxAliasCount: 100 })
      })
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const read = (path: string) => parse(readFileSync(join(deploy, path), "utf8"))[0]

  const assertKnown = (names: ReadonlyArray<string>, others: ReadonlyArray<string> = []) =>
    assert.deepStrictEqual(names.filter((name) => ![...settings, ...others].includes(name)), [])

  describe("of Kubernetes", () => {
    /** What an overlay makes, with secrets and with what is added to it. */
    const made = (
      context: TestContext,
      overlay: string,
      more: ReadonlyArray<string> = []
    ): ReadonlyArray<Yaml> => {
      // what Debian 12 has is too old to know components
      const kubectl = needed(context, "kubectl", false)
      const copy = join(folder, `kubernetes-${overlay}-${more.length}`)
      cpSync(join(deploy, "kubernetes"), copy, { recursive: true })
      const place = join(copy, "overlays", overlay)
      const secrets = readFileSync(join(place, "secrets.env.example"), "utf8").replace(/=$/gm, "=0123456789abcdef")
      writeFileSync(join(place, "secrets.env"), secrets)
      const kustomization = join(place, "kustomization.yaml")
      const wanted = more.map((name) => `  - ../../${name}`)
      const text = readFileSync(kustomization, "utf8").replace(
        `  - ../../${overlay}`,
        (line) => [line, ...wanted].join("\n")
      )
      writeFileSync(kustomization, text)
      const { status, stderr, stdout } = spawnSync(kubectl, ["kustomize", place], { encoding: "utf8" })
      assert.strictEqual(status, 0, stderr)
      assert.strictEqual(stderr, "")
      return parse(stdout)
    }

    const of = (all: ReadonlyArray<Yaml>, kind: string, name = "taskforge"): Yaml => {
      const found = all.find((one) => one.kind === kind && one.metadata.name.startsWith(name))
      assert.isDefined(found, `${kind} ${name}`)
      return found
    }

    for (const [overlay, url] of [["redis", "redis://"], ["postgres", "postgres://"]] as const) {
      it(`fit the types of its API, field by field, on ${overlay}`, async (context) => {
        const all = made(context, overlay, ["scaling-signal"])
        assert.isAtLeast(all.length, 13)
        const lines = all.flatMap((one, n) => [
          `import type { I${one.kind} as T${n} } from "kubernetes-models/${one.apiVersion}"`,
          `export const m${n}: T${n} = ${JSON.stringify(one)}`
        ])
        const file = join(folder, `${overlay}.ts`)
        writeFileSync(file, lines.join("\n"))
        const options = [
          "--noEmit",
          "--strict",
          "--skipLibCheck",
          "--module",
          "nodenext",
          "--moduleResolution",
          "nodenext"
        ]
        const tsc = spawnSync(join(project, "node_modules/.bin/tsc"), [...options, file], {
          cwd: folder,
          encoding: "utf8"
        })
        assert.strictEqual(tsc.stdout, "")
        assert.strictEqual(tsc.status, 0)
        for (const one of all) {
          const module = join(folder, "node_modules/kubernetes-models", one.apiVersion, "index.js")
          const { [one.kind]: Model } = await import(pathToFileURL(module).href)
          new Model(one).validate()
        }
      })

      it(`start the server with settings that it has, on ${overlay}`, (context) => {
        const all = made(context, overlay)
        const { spec } = of(all, "Deployment").spec.template
        const [container] = spec.containers
        const literals = Object.keys(of(all, "ConfigMap").data)
        const named = container.env.map(({ name }: { name: string }) => name)
        assertKnown([...literals, ...named], ["REDIS_PASSWORD", "POSTGRES_PASSWORD"])
        assert.match(
          container.env.find(({ name }: { name: string }) => name === "STORE_URL").value,
          new RegExp(`^${url}`)
        )
        // Kubernetes replaces $(NAME) by what stands before it
        assert.isBelow(named.findIndex((name: string) => name.endsWith("_PASSWORD")), named.indexOf("STORE_URL"))
        assert.isFalse(spec.enableServiceLinks)
        const secret = of(all, "Secret")
        for (const { valueFrom } of container.env) {
          if (valueFrom === undefined) continue
          assert.strictEqual(valueFrom.secretKeyRef.name, secret.metadata.name)
          assert.property(secret.data, valueFrom.secretKeyRef.key)
        }
        const [, preStop] = container.lifecycle.preStop.exec.command
        assert.isAbove(spec.terminationGracePeriodSeconds, Number(preStop) + 30, "more than TASKFORGE_SHUTDOWN")
      })

      it(`let the server reach its store, and nobody else, on ${overlay}`, (context) => {
        const all = made(context, overlay)
        const store = of(all, "StatefulSet")
        const labels = store.spec.template.metadata.labels
        const policy = of(all, "NetworkPolicy", `taskforge-${overlay}`)
        assert.include(labels, policy.spec.podSelector.matchLabels)
        assert.deepStrictEqual(policy.spec.ingress.map((rule: Yaml) => rule.from), [
          [{ podSelector: { matchLabels: of(all, "Deployment").spec.selector.matchLabels } }]
        ])
        const service = of(all, "Service", `taskforge-${overlay}`)
        assert.include(labels, service.spec.selector)
        const out = of(all, "NetworkPolicy").spec.egress.at(-1)
        assert.deepStrictEqual(out.ports.map(({ port }: { port: number }) => port), [service.spec.ports[0].port])
        assert.include(labels, out.to[0].podSelector.matchLabels)
      })
    }

    it("scale between two and ten, by the processor and by what the server wants", (context) => {
      const { spec } = of(made(context, "redis", ["scaling-signal"]), "HorizontalPodAutoscaler")
      assert.deepStrictEqual([spec.minReplicas, spec.maxReplicas], [2, 10])
      const [{ resource }, { external }] = spec.metrics
      assert.deepStrictEqual([resource.name, external.metric.name], ["cpu", "taskforge_slots_wanted"])
      assert.include(read("kubernetes/scaling-signal/adapter.yaml").rules.external[0].seriesQuery, external.metric.name)
    })

    it("have no secret in the project", () => {
      for (const overlay of ["redis", "postgres"]) {
        const ignored = spawnSync("git", ["check-ignore", `deploy/kubernetes/overlays/${overlay}/secrets.env`], {
          cwd: project
        })
        assert.strictEqual(ignored.status, 0)
        assert.isFalse(existsSync(join(deploy, `kubernetes/overlays/${overlay}/secrets.env`)))
      }
    })
  })

  describe("of Compose", () => {
    for (const name of ["compose.yaml", "compose.postgres.yaml"]) {
      it(`${name} fits the specification`, () => {
        // Formats, such as of durations, have no definition there
        const ajv = new (load("ajv").default)({ strict: false, allowUnionTypes: true, validateFormats: false })
        const text = readFileSync(join(folder, "node_modules/dclint/schemas/compose.schema.json"), "utf8")
        const { $schema: _, ...schema } = JSON.parse(text)
        const validate = ajv.compile(schema)
        const file = read(`compose/${name}`)
        validate(file)
        assert.isNull(validate.errors)
      })
    }

    it("mounts files that are there, and names settings that the server has", () => {
      const { services, volumes } = read("compose/compose.yaml")
      for (const service of Object.values<Yaml>(services)) {
        for (const volume of service.volumes ?? []) {
          const [source] = volume.split(":")
          if (source.startsWith(".")) assert.isTrue(existsSync(join(deploy, "compose", source)), source)
          else assert.property(volumes, source)
        }
      }
      for (const instance of ["taskforge-1", "taskforge-2"]) assertKnown(Object.keys(services[instance].environment))
      const { build } = services["taskforge-1"]
      assert.isTrue(existsSync(join(deploy, "compose", build.context, build.dockerfile)))
    })

    it("starts nginx in front of the instances that it names, which trust its address", () => {
      const { services } = read("compose/compose.yaml")
      const nginx = readFileSync(join(deploy, "nginx/taskforge.conf"), "utf8")
      const named = [...nginx.matchAll(/^ +server ([\w-]+):8080/gm)].map(([, name]) => name)
      assert.deepStrictEqual(named, Object.keys(services.nginx.depends_on))
      for (const name of named) {
        const { environment } = services[name!]
        assert.strictEqual(environment.TASKFORGE_TRUSTED_PROXIES, services.nginx.networks.inside.ipv4_address)
      }
    })

    it("asks for every secret that it uses", () => {
      const example = readFileSync(join(deploy, "compose/env.example"), "utf8")
      for (const name of ["compose.yaml", "compose.postgres.yaml"]) {
        const text = readFileSync(join(deploy, "compose", name), "utf8")
        for (const [, variable] of text.matchAll(/(?<!\$)\$\{(\w+)/g)) {
          assert.match(example, new RegExp(`^${variable}=`, "m"))
        }
      }
    })
  })

  it("Prometheus reads its configuration", (context) => {
    const promtool = spawnSync(needed(context, "promtool"), ["check", "config", "--syntax-only", "prometheus.yml"], {
      cwd: join(deploy, "prometheus"),
      encoding: "utf8"
    })
    assert.strictEqual(promtool.status, 0, promtool.stderr + promtool.stdout)
  })

  describe("of systemd", () => {
    const unit = readFileSync(join(deploy, "systemd/taskforge.service"), "utf8")

    it("are right for systemd, which gives the server little to attack", (context) => {
      const analyze = needed(context, "systemd-analyze")
      const file = join(folder, "taskforge.service")
      // Where the service is installed there is a Node; here it is another one
      writeFileSync(file, unit.replace("/usr/bin/node", process.execPath))
      const verify = spawnSync(analyze, ["verify", file], { encoding: "utf8" })
      assert.deepStrictEqual([verify.status, verify.stderr, verify.stdout], [0, "", ""])
      const options = ["security", "--offline=true", "--threshold=15", "--no-pager", file]
      const security = spawnSync(analyze, options, { encoding: "utf8" })
      assert.strictEqual(security.status, 0, security.stdout)
    })

    it("give the server settings that it has, and time to stop", () => {
      const names = [...unit.matchAll(/^Environment=(.*)$/gm)].flatMap(([, pairs]) =>
        pairs!.split(" ").map((pair) => pair.split("=")[0]!)
      )
      assertKnown(names, ["NODE_ENV", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_"])
      assert.isAbove(Number(/^TimeoutStopSec=(\d+)s$/m.exec(unit)?.[1]), 30)
      assert.match(unit, /^RestartPreventExitStatus=78$/m)
    })

    it("let the server give its threads a lower priority", () => {
      const filters = [...unit.matchAll(/^SystemCallFilter=(.*)$/gm)].map(([, filter]) => filter!)
      assert.isNotEmpty(filters)
      for (const filter of filters) assert.notMatch(filter, /@resources|setpriority/)
    })
  })

  it("Render builds the image, with settings that the server has", () => {
    const { databases, services: [service] } = read("render.yaml")
    assert.isTrue(existsSync(join(project, service.dockerfilePath)))
    assertKnown(service.envVars.map(({ key }: { key: string }) => key))
    const from = service.envVars.flatMap(({ fromDatabase }: Yaml) =>
      fromDatabase === undefined ? [] : [fromDatabase.name]
    )
    assert.deepStrictEqual(from, databases.map(({ name }: { name: string }) => name))
  })
})
