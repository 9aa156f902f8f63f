/** The work of `image_resize`: decodes, resizes and encodes with sharp, whose native threads are this process's own. */
import { Effect } from "effect"
import type { Metadata, Sharp } from "sharp"
import * as ThreadHandler from "../threads/ThreadHandler.ts"
import { ImageRefused, ImageWork } from "./ImageResize.ts"

/** Formats that are images and nothing else: an SVG, for one, may ask for other files. */
const readable = new Set(["jpeg", "png", "webp", "gif", "avif", "heif", "tiff"])

type Payload = (typeof ImageWork)["payload"]["Type"]

export const handler = ThreadHandler.make(
  ImageWork,
  Effect.fnUntraced(function*(payload) {
    const { default: sharp } = yield* Effect.promise(() => import("sharp"))
    // It would keep images of earlier tasks open and in memory, which are other people's and count as this task's
    sharp.cache(false)
    const image = yield* attempt(() =>
      Promise.resolve(sharp(payload.source, { limitInputPixels: payload.max_pixels, failOn: "error" }))
    )
    const from = yield* attempt(() => image.metadata())
    if (!readable.has(from.format)) {
      return yield* new ImageRefused({ reason: `${from.format} is not a format to resize` })
    }
    const pixels = pixelsOf(payload, from)
    if (pixels > payload.max_pixels) {
      return yield* new ImageRefused({
        reason: `The new image would have ${pixels} pixels, and ${payload.max_pixels} is the limit`
      })
    }
    const info = yield* attempt(() => convert(image, payload, from.format).toFile(payload.output))
    return {
      width: info.width,
      height: info.height,
      format: info.format,
      bytes: info.size,
      from: { width: from.width, height: from.height, format: from.format }
    }
  })
)

/** How many pixels the new image has at most. */
const pixelsOf = ({ fit, height, width }: Payload, from: Metadata): number => {
  // As a camera held it
  const [wide, high] = (from.orientation ?? 1) >= 5 ? [from.height, from.width] : [from.width, from.height]
  if (width === undefined) return Math.round(height! * height! * wide / high)
  if (height === undefined) return Math.round(width * width * high / wide)
  const scale = Math.max(width / wide, height / high)
  return fit === "outside" ? Math.round(wide * scale * high * scale) : width * height
}

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
