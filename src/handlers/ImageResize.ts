/**
 * `image_resize` makes an image smaller, or another format of it, with sharp. The image comes from a URL, a file or the
 * payload; the new one goes to a file or into the result. How many pixels an image may have is known before any of them
 * is decoded, so a bomb costs nothing.
 *
 * sharp works in native threads of its own, so this handler needs no worker thread.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { stat, writeFile } from "node:fs/promises"
import type { Sharp } from "sharp"
import * as AtomicFile from "../files/AtomicFile.ts"
import { Folders, PathRefused, PathText } from "../files/Folders.ts"
import { Outbound } from "../outbound/Outbound.ts"
import { RequestFailed, RequestRefused, RequestRejected, retry } from "../outbound/OutboundErrors.ts"
import { Url } from "../outbound/OutboundRequestFields.ts"
import * as Task from "../Task.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import { withDefault } from "./withDefault.ts"

/** What is no image, or one that is not taken. */
export class ImageRefused extends Schema.TaggedError<ImageRefused>()("ImageRefused", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

/** What images may be. */
export interface Limits {
  /** Pixels of an image at most, width times height. */
  readonly maxPixels: number
  /** Bytes of a file at most. */
  readonly maxBytes: number
}

/** The limits in force. */
export class ImageLimits extends Context.Service<ImageLimits, Limits>()("taskforge/handlers/ImageLimits") {
  /** Default: 100 million pixels, 50 MiB. */
  static readonly layer = (limits: Partial<Limits> = {}): Layer.Layer<ImageLimits> =>
    Layer.succeed(ImageLimits, { maxPixels: 100_000_000, maxBytes: 50 * 1024 * 1024, ...limits })
}

/** Bytes of an image in a result. */
const mostInResult = 1024 * 1024

/** Formats that are images and nothing else: an SVG, for one, may ask for other files. */
const readable = new Set(["jpeg", "png", "webp", "gif", "avif", "heif", "tiff"])

const Size = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 16_383 }))

/** The task type `image_resize`. */
export const ImageResize = Task.make("image_resize", {
  description: "Resizes an image from a URL, a file or the payload, and converts it to JPEG, PNG, WebP or AVIF",
  payload: Schema.Struct({
    url: Schema.optionalKey(Url),
    /** Another name for `url`. */
    image_url: Schema.optionalKey(Url),
    file: Schema.optionalKey(PathText),
    /** The image itself, base64. */
    data: Schema.optionalKey(Schema.Uint8ArrayFromBase64),
    /** With one of both the other one follows. */
    width: Schema.optionalKey(Size),
    height: Schema.optionalKey(Size),
    fit: withDefault(Schema.Literals(["cover", "contain", "fill", "inside", "outside"]), "cover"),
    /** Default: as it was, or PNG. */
    format: Schema.optionalKey(Schema.Literals(["jpeg", "png", "webp", "avif"])),
    quality: withDefault(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })), 80),
    enlarge: withDefault(Schema.Boolean, true),
    /** The file to write; without it the image is in the result. */
    output: Schema.optionalKey(PathText)
  }).check(
    Schema.makeFilter((
      payload: {
        readonly url?: unknown
        readonly image_url?: unknown
        readonly file?: unknown
        readonly data?: unknown
        readonly width?: unknown
        readonly height?: unknown
      }
    ) =>
      [payload.url, payload.image_url, payload.file, payload.data].filter((source) => source !== undefined).length !== 1
        ? "Expected one of url, file and data"
        : payload.width === undefined && payload.height === undefined
        ? "Expected width or height"
        : undefined
    )
  ),
  success: Schema.Struct({
    width: Schema.Int,
    height: Schema.Int,
    format: Schema.String,
    bytes: Schema.Int,
    from: Schema.Struct({ width: Schema.Int, height: Schema.Int, format: Schema.String }),
    output: Schema.NullOr(Schema.String),
    /** Base64, where no file was asked for. */
    data: Schema.NullOr(Schema.String)
  }),
  error: Schema.Union([ImageRefused, PathRefused, RequestRefused, RequestRejected, RequestFailed]),
  retry
})

/** Runs `image_resize`. */
export const ImageResizeLive = ImageResize.toLayer(Effect.fnUntraced(function*(payload) {
  const folders = yield* Folders
  const { maxBytes, maxPixels } = yield* ImageLimits
  const [source, target] = yield* Effect.all([
    sourceOf(payload, maxBytes),
    payload.output === undefined ? Effect.undefined : folders.target(payload.output)
  ], { concurrency: "unbounded" })
  const { default: sharp } = yield* Effect.promise(() => import("sharp"))
  const image = yield* attempt(() => Promise.resolve(sharp(source, { limitInputPixels: maxPixels, failOn: "error" })))
  const from = yield* attempt(() => image.metadata())
  if (!readable.has(from.format)) return yield* new ImageRefused({ reason: `${from.format} is not a format to resize` })
  const { data, info } = yield* attempt(() =>
    convert(image, payload, from.format).toBuffer({ resolveWithObject: true })
  )
  const result = {
    width: info.width,
    height: info.height,
    format: info.format,
    bytes: info.size,
    from: { width: from.width, height: from.height, format: from.format }
  }
  if (target === undefined) {
    return data.byteLength > mostInResult
      ? yield* new ImageRefused({
        reason: `The image has ${data.byteLength} bytes, too many for a result: name an output`
      })
      : { ...result, output: null, data: data.toString("base64") }
  }
  const { claim, id } = yield* TaskContext
  yield* AtomicFile.write(target, `${id}-${claim}`, (part) => Effect.promise(() => writeFile(part, data)))
  return { ...result, output: folders.display(target), data: null }
}))

type Payload = (typeof ImageResize)["payload"]["Type"]

/** The image: its bytes, or where they are, for sharp reads a file better than we do. */
const sourceOf = Effect.fnUntraced(function*({ data, file, image_url, url = image_url }: Payload, maxBytes: number) {
  if (url !== undefined) {
    const outbound = yield* Outbound
    const { snooze } = yield* TaskContext
    const answer = yield* outbound.send({ method: "GET", url, maxBytes })
    return "_tag" in answer ? yield* snooze(answer.retryAfter) : answer.body
  }
  if (file === undefined) {
    return data!.byteLength > maxBytes
      ? yield* new ImageRefused({ reason: `The image has more than ${maxBytes} bytes` })
      : data!
  }
  const path = yield* Folders.use((folders) => folders.existing(file))
  const stats = yield* Effect.promise(() => stat(path))
  if (!stats.isFile()) return yield* new PathRefused({ path: file, reason: "it is no file" })
  if (stats.size > maxBytes) return yield* new ImageRefused({ reason: `The file has more than ${maxBytes} bytes` })
  return path
})

const convert = (image: Sharp, { enlarge, fit, format, height, quality, width }: Payload, was: string): Sharp => {
  const to = format ?? (was === "jpeg" || was === "webp" || was === "avif" ? was : "png")
  // As a camera held it, before what it says about that is left out
  return image.autoOrient().resize({ width, height, fit, withoutEnlargement: !enlarge }).toFormat(
    to,
    to === "png" ? {} : { quality }
  )
}

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, ImageRefused> =>
  Effect.tryPromise({
    try: run,
    catch: (cause) => new ImageRefused({ reason: cause instanceof Error ? cause.message : String(cause) })
  })
