/**
 * `image_resize` makes an image smaller, or another format of it, with sharp. The image comes from a URL, a file or the
 * payload; the new one goes to a file or into the result. How many pixels an image may have, and the new one would have, is
 * known before any of them is decoded, so a bomb costs nothing.
 *
 * sharp works in the thread pool of its process, where the server syncs the store's log too. So it has a process of its
 * own, which can be ended in the middle of an image.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { withDefault } from "../domain/TaskDefinition.ts"
import * as Task from "../Task.ts"
import { onThread } from "../threads/onThread.ts"
import { moduleBeside } from "../threads/ThreadModule.ts"
import { TaskContext } from "../worker/TaskContext.ts"
import * as AtomicFile from "./files/AtomicFile.ts"
import { Folders, PathRefused, PathText } from "./files/Folders.ts"
import * as Scratch from "./files/Scratch.ts"
import { Outbound } from "./outbound/Outbound.ts"
import { RequestFailed, RequestRefused, RequestRejected, retry } from "./outbound/OutboundErrors.ts"
import { Url } from "./outbound/OutboundRequestFields.ts"

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
const maxInResult = 1024 * 1024

const Size = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 16_383 }))

const shape = {
  /** With one of both the other one follows. */
  width: Schema.optionalKey(Size),
  height: Schema.optionalKey(Size),
  fit: withDefault(Schema.Literals(["cover", "contain", "fill", "inside", "outside"]), "cover"),
  /** Default: as it was, or PNG. */
  format: Schema.optionalKey(Schema.Literals(["jpeg", "png", "webp", "avif"])),
  quality: withDefault(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })), 80),
  enlarge: withDefault(Schema.Boolean, true)
}

const Resized = {
  width: Schema.Int,
  height: Schema.Int,
  format: Schema.String,
  bytes: Schema.Int,
  from: Schema.Struct({ width: Schema.Int, height: Schema.Int, format: Schema.String })
}

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
    ...shape,
    /** The file to write; without it the image is in the result. */
    output: Schema.optionalKey(PathText)
  }).check(
    Schema.makeFilter((payload) =>
      [payload.url, payload.image_url, payload.file, payload.data].filter((source) => source !== undefined).length !== 1
        ? "Expected one of url, file and data"
        : payload.width === undefined && payload.height === undefined
        ? "Expected width or height"
        : undefined
    )
  ),
  success: Schema.Struct({
    ...Resized,
    output: Schema.NullOr(Schema.String),
    /** Base64, where no file was asked for. */
    data: Schema.NullOr(Schema.String)
  }),
  error: Schema.Union([ImageRefused, PathRefused, RequestRefused, RequestRejected, RequestFailed]),
  retry
})

/** What the process does: from one real path to another. */
export const ImageWork = Task.make("image_resize", {
  payload: { ...shape, source: Schema.String, output: Schema.String, max_pixels: Schema.Int },
  success: Schema.Struct(Resized),
  error: ImageRefused
})

const work = onThread(ImageWork, moduleBeside(import.meta.url, "ImageResize.thread"), { isolation: "process" })

/** Runs `image_resize`. */
export const ImageResizeLive = ImageResize.toLayer(Effect.fnUntraced(function*(payload) {
  const folders = yield* Folders
  const { maxBytes, maxPixels } = yield* ImageLimits
  const [source, target] = yield* Effect.all([
    sourceOf(payload, maxBytes),
    payload.output === undefined ? Effect.undefined : folders.target(payload.output)
  ], { concurrency: "unbounded" })
  const { enlarge, fit, format, height, quality, width } = payload
  const resize = (output: string) =>
    work({
      source,
      output,
      max_pixels: maxPixels,
      enlarge,
      fit,
      quality,
      ...(format === undefined ? {} : { format }),
      ...(height === undefined ? {} : { height }),
      ...(width === undefined ? {} : { width })
    })
  if (target !== undefined) {
    const resized = yield* AtomicFile.write(target, yield* TaskContext, resize)
    return { ...resized, output: folders.display(target), data: null }
  }
  const output = join(yield* scratch, "image")
  const resized = yield* resize(output)
  return resized.bytes > maxInResult
    ? yield* new ImageRefused({
      reason: `The image has ${resized.bytes} bytes, too many for a result: name an output`
    })
    : { ...resized, output: null, data: (yield* Effect.promise(() => readFile(output))).toString("base64") }
}, Effect.scoped))

const scratch = Effect.flatMap(TaskContext, Scratch.make)

type Payload = (typeof ImageResize)["payload"]["Type"]

/** The file that holds the image. */
const sourceOf = Effect.fnUntraced(function*({ data, file, image_url, url = image_url }: Payload, maxBytes: number) {
  if (url !== undefined) {
    const outbound = yield* Outbound
    const { snooze } = yield* TaskContext
    const answer = yield* outbound.send({ method: "GET", url, maxBytes })
    return "_tag" in answer ? yield* snooze(answer.retryAfter) : yield* kept(answer.body)
  }
  if (file === undefined) {
    return data!.byteLength > maxBytes
      ? yield* new ImageRefused({ reason: `The image has more than ${maxBytes} bytes` })
      : yield* kept(data!)
  }
  const path = yield* Folders.use((folders) => folders.existing(file))
  const stats = yield* Effect.promise(() => stat(path))
  if (!stats.isFile()) return yield* new PathRefused({ path: file, reason: "it is no file" })
  if (stats.size > maxBytes) return yield* new ImageRefused({ reason: `The file has more than ${maxBytes} bytes` })
  return path
})

/** Bytes as a file. */
const kept = Effect.fnUntraced(function*(bytes: Uint8Array) {
  const path = join(yield* scratch, "source")
  yield* Effect.promise(() => writeFile(path, bytes))
  return path
})
