/**
 * The lines of one attempt: the first ones, which say how it began, and the latest ones, which say how it ended. Those between
 * are only counted.
 */

/** Lines and bytes that are kept of the beginning. */
const maxFirst = { lines: 100, bytes: 16 * 1024 }

/** Lines and bytes that are kept of the end. */
const maxLast = { lines: 400, bytes: 32 * 1024 }

/** Lines that are kept of an attempt at most. */
export const maxLines: number = maxFirst.lines + maxLast.lines

/** Bytes of UTF-8 in the JSON of the lines that are kept of an attempt at most. */
export const maxBytes: number = maxFirst.bytes + maxLast.bytes

/** Collects lines as JSON texts. */
export class LogBuffer {
  /** Goes on from lines that are kept already, each with its number. */
  static readonly from = (lines: ReadonlyArray<{ readonly n: number }>, logged: number): LogBuffer => {
    const buffer = new LogBuffer()
    for (const line of lines) {
      if (line.n !== buffer.count + 1) buffer.hasRoomAtFirst = false
      buffer.count = line.n - 1
      buffer.add(() => JSON.stringify(line))
    }
    if (buffer.count < logged) buffer.hasRoomAtFirst = false
    buffer.count = Math.max(buffer.count, logged)
    return buffer
  }

  private readonly first: Array<string> = []
  private firstBytes = 0
  private readonly last: Array<{ readonly json: string; readonly bytes: number }> = []
  private lastBytes = 0
  private hasRoomAtFirst = true
  private count = 0

  /** How many lines were logged, kept or not. */
  get logged(): number {
    return this.count
  }

  /** Bytes of the lines that it keeps. */
  get bytes(): number {
    return this.firstBytes + this.lastBytes
  }

  /** Adds the next line, made from its number. */
  add(encode: (n: number) => string): void {
    const json = encode(++this.count)
    const bytes = Buffer.byteLength(json)
    if (
      this.hasRoomAtFirst && this.first.length < maxFirst.lines && this.firstBytes + bytes <= maxFirst.bytes
    ) {
      this.first.push(json)
      this.firstBytes += bytes
      return
    }
    // Once a line did not fit, a smaller one after it must not come before it
    this.hasRoomAtFirst = false
    this.last.push({ json, bytes })
    this.lastBytes += bytes
    while (this.last.length > maxLast.lines || this.lastBytes > maxLast.bytes) {
      this.lastBytes -= this.last.shift()!.bytes
    }
  }

  /** Counts a line for which there is no room. */
  skip(): void {
    this.count++
    this.hasRoomAtFirst = false
  }

  /** The lines that it keeps as the JSON of an array. */
  toJson(): string {
    return `[${[...this.first, ...this.last.map(({ json }) => json)].join(",")}]`
  }
}
