/** Names of files that are made of other texts. File systems bound a name by its bytes, and some ignore the case. */
import { createHash } from "node:crypto"

/** Bytes of a name at most, on all common file systems. */
const maxBytes = 255

/** Bytes of an id that is part of a name as it is. */
const maxReadable = 150

/** The beginning of the SHA-256 of a text, in hexadecimal: 128 bits. */
export const digest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 32)

/**
 * A name for an id, another one for each id: an id of small letters, digits, `_`, `-` and single dots is its own; any other
 * one is what is readable of it, and after a `+`, which no such id has, its digest.
 */
export const ofId = (id: string): string =>
  id.length <= maxReadable && /^[a-z\d_-]+(\.[a-z\d_-]+)*$/.test(id)
    ? id
    : `${id.slice(0, maxReadable).replaceAll(/[^a-z\d_-]+/gi, "-")}+${digest(id)}`

/** A name that ends with `suffix`. A stem that is too long is cut between characters and gets its digest. */
export const fit = (stem: string, suffix: string): string => {
  const room = maxBytes - Buffer.byteLength(suffix)
  if (Buffer.byteLength(stem) <= room) return stem + suffix
  const hash = `-${digest(stem)}`
  let cut = ""
  for (const character of stem) {
    if (Buffer.byteLength(cut + character) > room - hash.length) break
    cut += character
  }
  return cut + hash + suffix
}
