import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import sharp, { type Sharp } from "sharp"
import * as Site from "./outbound/Site.ts"
import { failureOf, Home, isRefused, resultOf, withHandlers } from "./TestHandlers.ts"

const picture = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 200, g: 30, b: 30 } } })

/** Where a link leads; the descriptor that lists them is closed by then. */
const readlink = (path: string): string => {
  try {
    return readlinkSync(path)
  } catch {
    return ""
  }
}

const bytesOf = (image: Sharp) => Effect.promise(() => image.toBuffer())
const sizeOf = (bytes: Buffer) =>
  Effect.map(Effect.promise(() => sharp(bytes).metadata()), ({ format, height, width }) => ({ format, height, width }))

describe("image_resize", () => {
  it.live("resizes what is in a file, behind a URL, or in the payload", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const jpeg = yield* bytesOf(picture(200, 100).jpeg())
      writeFileSync(join(home, "in.jpg"), jpeg)
      const site = yield* Site.start((_, response) => response.end(jpeg))
      const toFile = yield* resultOf("image_resize", {
        file: "in.jpg",
        width: 50,
        height: 50,
        format: "webp",
        output: "out/small.webp"
      })
      assert.deepInclude(toFile, { width: 50, height: 50, format: "webp", output: "out/small.webp", data: null })
      assert.deepStrictEqual(toFile["from"], { width: 200, height: 100, format: "jpeg" })
      const written = readFileSync(join(home, "out/small.webp"))
      assert.deepStrictEqual(yield* sizeOf(written), { format: "webp", width: 50, height: 50 })
      for (const source of [{ url: site.url }, { data: jpeg.toString("base64") }]) {
        const result = yield* resultOf("image_resize", { ...source, width: 20 })
        assert.deepInclude(result, { width: 20, height: 10, format: "jpeg", output: null })
        assert.deepStrictEqual(yield* sizeOf(Buffer.from(String(result["data"]), "base64")), {
          format: "jpeg",
          width: 20,
          height: 10
        })
      }
      const fits: Record<string, unknown> = {}
      for (const fit of ["cover", "contain", "fill", "inside", "outside"]) {
        const { height, width } = yield* resultOf("image_resize", { file: "in.jpg", width: 40, height: 40, fit })
        fits[fit] = [width, height]
      }
      assert.deepStrictEqual(fits, {
        cover: [40, 40],
        contain: [40, 40],
        fill: [40, 40],
        inside: [40, 20],
        outside: [80, 40]
      })
      assert.deepInclude(yield* resultOf("image_resize", { file: "in.jpg", width: 400, enlarge: false }), {
        width: 200
      })
    }).pipe(withHandlers()))

  it.live("turns a picture as the camera was held", () =>
    Effect.gen(function*() {
      const data = (yield* bytesOf(picture(40, 20).withMetadata({ orientation: 6 }).jpeg())).toString("base64")
      assert.deepInclude(yield* resultOf("image_resize", { data, width: 10 }), { width: 10, height: 20 })
    }).pipe(withHandlers()))

  it.live.runIf(process.platform === "linux")("keeps no image of an earlier task open", () =>
    Effect.gen(function*() {
      for (const format of ["gif", "webp", "tiff", "png", "jpeg"] as const) {
        const data = (yield* bytesOf(picture(200, 100).toFormat(format))).toString("base64")
        yield* resultOf("image_resize", { data, width: 20, format: "png" })
      }
      const open = readdirSync("/proc/self/fd").map((file) => readlink(`/proc/self/fd/${file}`))
      assert.deepStrictEqual(open.filter((path) => /taskforge-\w+-\d+-\w+\/source/.test(path)), [])
    }).pipe(withHandlers()))

  it.live("makes no image larger than it would take", () =>
    Effect.gen(function*() {
      const data = (yield* bytesOf(picture(40, 20).jpeg())).toString("base64")
      for (
        const size of [{ width: 16_383, height: 16_383 }, { width: 2000 }, { height: 1000 }, {
          width: 10,
          height: 1000,
          fit: "outside"
        }]
      ) {
        const failure = yield* failureOf("image_resize", { data, ...size })
        assert.strictEqual(failure.tag, "ImageRefused")
        assert.match(failure.message, /would have \d+ pixels, and 1000000 is the limit/)
      }
    }).pipe(withHandlers()))

  it.live("takes no bombs, nothing broken, and nothing that is no image", () =>
    Effect.gen(function*() {
      const home = yield* Home
      const png = yield* bytesOf(picture(300, 300).png())
      const bomb = yield* bytesOf(picture(1100, 1000).png())
      const svg = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><image href='/etc/passwd'/></svg>"
      const cases: Record<string, Buffer> = {
        bomb,
        text: Buffer.from("no image"),
        empty: Buffer.alloc(0),
        svg: Buffer.from(svg),
        cut: png.subarray(0, png.length - 60),
        noise: Buffer.concat([png.subarray(0, 60), Buffer.alloc(500, 7)])
      }
      for (const [name, bytes] of Object.entries(cases)) {
        const failure = yield* failureOf("image_resize", { data: bytes.toString("base64"), width: 10 })
        assert.strictEqual(failure.tag, "ImageRefused", `${name}: ${failure.message}`)
      }
      writeFileSync(join(home, "large.png"), Buffer.alloc(1_000_001))
      assert.match(
        (yield* failureOf("image_resize", { file: "large.png", width: 1 })).message,
        /more than 1000000 bytes/
      )
      const large = Buffer.alloc(1_000_001).toString("base64")
      assert.match((yield* failureOf("image_resize", { data: large, width: 1 })).message, /more than 1000000 bytes/)
      const site = yield* Site.start((_, response) => response.end(Buffer.alloc(1_000_001)))
      assert.strictEqual((yield* failureOf("image_resize", { url: site.url, width: 1 })).tag, "RequestRefused")
      symlinkSync("/etc/hostname", join(home, "link.png"))
      for (const file of ["link.png", "../a.png", "none.png", "."]) {
        assert.strictEqual((yield* failureOf("image_resize", { file, width: 1 })).tag, "PathRefused", file)
      }
      for (const url of ["http://169.254.169.254/a.png", "http://[::1]/a.png"]) {
        assert.strictEqual((yield* failureOf("image_resize", { url, width: 1 })).tag, "RequestRefused", url)
      }
    }).pipe(withHandlers()))

  it.live("needs one source and a size", () =>
    Effect.gen(function*() {
      for (
        const payload of [
          { width: 1 },
          { file: "a" },
          { file: "a", data: "", width: 1 },
          { file: "a", width: 0 },
          { file: "a", width: 100_000 },
          { file: "a", width: 1, format: "bmp" },
          { data: "§", width: 1 }
        ]
      ) yield* isRefused("image_resize", payload)
    }).pipe(withHandlers()))
})
