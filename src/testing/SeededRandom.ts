/** Pseudo-random numbers from a seed: the same seed and stream give the same numbers, in every process. */

/** A stream of numbers (sfc32). Streams of one seed are independent: a draw more from one moves none of the others. */
export class SeededRandom {
  private a: number
  private b: number
  private c: number
  private counter = 1

  constructor(seed: number | string, stream: string) {
    const text = `${seed}/${stream}`
    this.a = hash(text, 0x9e3779b9)
    this.b = hash(text, 0x85ebca6b)
    this.c = hash(text, 0xc2b2ae35)
    // The first numbers still resemble the hashes.
    for (let i = 0; i < 12; i++) this.uint32()
  }

  /** An integer from 0 to 2³² − 1. */
  uint32(): number {
    const sum = (this.a + this.b + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = ((this.c << 21) | (this.c >>> 11)) + sum | 0
    return sum >>> 0
  }

  /** From 0, and below 1. */
  next(): number {
    return this.uint32() / 4294967296
  }

  /** An integer from 0, and below `count`. */
  int(count: number): number {
    return Math.floor(this.next() * count)
  }

  /** An integer from `least` to `most`, both included. */
  between(min: number, max: number): number {
    return min + this.int(max - min + 1)
  }

  /** True with this probability; 0 draws nothing. */
  chance(probability: number): boolean {
    return probability > 0 && this.next() < probability
  }

  /** One of the items, which must not be empty. */
  pick<A>(items: ReadonlyArray<A>): A {
    return items[this.int(items.length)]!
  }

  /** Fills a view with random bytes, as `Crypto.getRandomValues` does. */
  writeTo(view: ArrayBufferView): void {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    for (let index = 0; index < bytes.length; index += 4) {
      const word = this.uint32()
      bytes[index] = word
      if (index + 1 < bytes.length) bytes[index + 1] = word >>> 8
      if (index + 2 < bytes.length) bytes[index + 2] = word >>> 16
      if (index + 3 < bytes.length) bytes[index + 3] = word >>> 24
    }
  }
}

/** FNV-1a with a final mix. */
const hash = (text: string, basis: number): number => {
  let value = basis | 0
  for (let index = 0; index < text.length; index++) {
    value ^= text.charCodeAt(index)
    value = Math.imul(value, 0x01000193)
  }
  value ^= value >>> 16
  value = Math.imul(value, 0x7feb352d)
  value ^= value >>> 15
  return value | 0
}
