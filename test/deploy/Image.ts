/**
 * The steps of the Dockerfile without a Docker engine: each stage is a folder of its own, in which the programs of this
 * Debian are there to be read. What the engine gives a container is given with `unshare` and `chroot`: its own processes, a
 * root folder that is read only, a user without rights.
 */
import { assert } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { findBinary } from "../servers/Program.ts"

const project = fileURLToPath(new URL("../../", import.meta.url))
const folder = join(project, "deploy/docker")

/** A line of the Dockerfile. */
interface Instruction {
  readonly name: string
  readonly text: string
}

/** The instructions of each stage, in order. */
const stages = (): ReadonlyArray<ReadonlyArray<Instruction>> => {
  const lines = readFileSync(join(folder, "Dockerfile"), "utf8").split("\n").filter((line) => /^[A-Z]/.test(line))
  const found: Array<Array<Instruction>> = []
  for (const line of lines) {
    const [name = "", ...words] = line.split(" ")
    if (name === "FROM") found.push([])
    found.at(-1)!.push({ name, text: words.join(" ") })
  }
  return found
}

/** The paths of the project that the ignore file lets into the build. */
const context = (): ReadonlyArray<string> => {
  const [first, ...kept] = readFileSync(join(folder, "Dockerfile.dockerignore"), "utf8").split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
  assert.strictEqual(first, "*")
  return kept.map((line) => {
    assert.match(line, /^![\w.-]+$/)
    return line.slice(1)
  })
}

/** The image as it is started. */
export interface Image {
  readonly root: string
  readonly environment: Readonly<Record<string, string>>
  readonly entrypoint: ReadonlyArray<string>
  readonly healthcheck: ReadonlyArray<string>
  readonly user: string
  readonly workdir: string
  readonly volume: string
}

/** Runs all steps; the folders go with the scope. */
export const build: Effect.Effect<Image, never, Scope.Scope> = Effect.gen(function*() {
  const [first, last, ...rest] = stages()
  assert.isEmpty(rest)
  const made = yield* bareRoot
  yield* Effect.sync(() => perform(first!, made, undefined))
  const root = yield* bareRoot
  return yield* Effect.sync(() => perform(last!, root, made))
})

/** Node and npm are in the image that both stages begin with. */
const path = "/opt/node/bin:/usr/bin:/bin"

/** A folder with the programs of this Debian, and without anything of the project. */
const bareRoot: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => {
    const root = mkdtempSync(join(tmpdir(), "taskforge-root-"))
    // For the image's own user, too
    chmodSync(root, 0o755)
    for (const name of ["usr", "etc", "proc", "dev", "opt/node/bin", "opt/npm", "npm", "var/lib"]) {
      mkdirSync(join(root, name), { recursive: true })
    }
    mkdirSync(join(root, "tmp"))
    for (const name of ["bin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(root, name))
    for (const name of ["resolv.conf", "hosts", "passwd", "group", "nsswitch.conf"]) {
      if (existsSync(`/etc/${name}`)) cpSync(`/etc/${name}`, join(root, "etc", name), { dereference: true })
    }
    try {
      linkSync(process.execPath, join(root, "opt/node/bin/node"))
    } catch {
      cpSync(process.execPath, join(root, "opt/node/bin/node"), { dereference: true })
    }
    writeFileSync(join(root, "opt/node/bin/npm"), "#!/bin/sh\nexec node /opt/npm/bin/npm-cli.js \"$@\"\n", {
      mode: 0o755
    })
    return root
  }),
  (root) => Effect.sync(() => rmSync(root, { recursive: true, force: true }))
)

const perform = (instructions: ReadonlyArray<Instruction>, root: string, earlier: string | undefined): Image => {
  let workdir = "/"
  let user = "0:0"
  let volume = ""
  let entrypoint: ReadonlyArray<string> = []
  let healthcheck: ReadonlyArray<string> = []
  const environment: Record<string, string> = {}
  for (const { name, text } of instructions) {
    switch (name) {
      case "FROM":
        assert.match(text, /^node:\d+\.\d+\.\d+-bookworm-slim( AS build)?$/)
        break
      case "WORKDIR":
        workdir = text
        mkdirSync(join(root, text), { recursive: true })
        break
      case "COPY":
        copy(text.split(" "), root, workdir, earlier)
        break
      case "RUN":
        run(root, workdir, text)
        break
      case "ENV":
        for (const pair of text.split(" ")) environment[pair.split("=")[0]!] = pair.split("=")[1]!
        break
      case "VOLUME":
        volume = text
        break
      case "USER":
        user = text
        break
      case "ENTRYPOINT":
        entrypoint = JSON.parse(text)
        break
      case "HEALTHCHECK":
        healthcheck = JSON.parse(text.slice(text.indexOf("CMD ") + 4))
        break
      case "EXPOSE":
        break
      default:
        assert.fail(`This test does not know ${name}`)
    }
  }
  return { root, environment, entrypoint, healthcheck, user, workdir, volume }
}

const copy = (words: ReadonlyArray<string>, root: string, workdir: string, earlier: string | undefined): void => {
  const owner = words.find((word) => word.startsWith("--chown="))?.slice("--chown=".length)
  const isFromStage = words.includes("--from=build")
  const paths = words.filter((word) => !word.startsWith("--"))
  for (const source of paths.slice(0, -1)) {
    if (!isFromStage) assert.include(context(), source.split("/")[0], "what the ignore file keeps out cannot be copied")
    const destination = paths.at(-1)!
    const place = destination.startsWith("/")
      ? join(root, destination)
      : destination.endsWith("/")
      ? join(root, workdir, source)
      : join(root, workdir, destination)
    mkdirSync(dirname(place), { recursive: true })
    cpSync(join(isFromStage ? earlier! : project, source), place, { recursive: true })
    if (owner !== undefined) chownSync(place, Number(owner.split(":")[0]), Number(owner.split(":")[1]))
  }
}

/** The folder of this machine's npm. */
const npm = (): string => dirname(dirname(realpathSync(findBinary(["npm"])!)))

/** A step of the build, as root: with the network and npm's cache. */
const run = (root: string, workdir: string, command: string): void => {
  const cache = execFileSync("npm", ["config", "get", "cache"], { encoding: "utf8" }).trim()
  const script = `
    mount --bind /usr "$0/usr"
    mount --bind /dev "$0/dev"
    mount -t proc proc "$0/proc"
    mount --bind "${npm()}" "$0/opt/npm"
    mount --bind "${cache}" "$0/npm"
    exec chroot "$0" /usr/bin/env -i PATH=${path} HOME=/tmp npm_config_cache=/npm npm_config_prefer_offline=true \
      NODE_EXTRA_CA_CERTS=/tmp/certificates.crt /bin/sh -ec 'cd "$0" && eval "$1"' "$1" "$2"`
  const certificates = "/etc/ssl/certs/ca-certificates.crt"
  if (existsSync(certificates)) cpSync(certificates, join(root, "tmp/certificates.crt"), { dereference: true })
  mkdirSync(cache, { recursive: true })
  execFileSync("unshare", ["--mount", "--pid", "--fork", "sh", "-ec", script, root, workdir, command], {
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8"
  })
}

/** A process in the image, its first: only the volume and /tmp can be written. */
export const start = (
  image: Image,
  command: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): ChildProcess => {
  const entered = `
    mount --bind "$0" "$0"
    mount --bind /usr "$0/usr"
    mount --bind /dev "$0/dev"
    mount -t proc proc "$0/proc"
    mount -t tmpfs tmpfs "$0/tmp"
    chmod 1777 "$0/tmp"
    mount --bind "$0${image.volume}" "$0${image.volume}"
    mount -o remount,bind,ro "$0"
    exec chroot "$0" "$@"`
  const [uid, gid] = image.user.split(":")
  const variables = Object.entries({ PATH: path, HOME: "/", ...image.environment, ...environment })
  const asUser = ["--reuid", uid!, "--regid", gid!, "--clear-groups", "--no-new-privs", "--bounding-set=-all"]
  const within = ["/usr/bin/setpriv", ...asUser, "/usr/bin/env", "-i", "-C", image.workdir]
  const assigned = variables.map(([name, value]) => `${name}=${value}`)
  const isolated = ["--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", entered, image.root]
  return spawn("unshare", [...isolated, ...within, ...assigned, ...command], { stdio: ["ignore", "pipe", "pipe"] })
}
