/** Files read and written piece by piece. Synchronous: it is for threads. */
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from "node:fs"

/** Bytes read at a time, unless said, and characters written at a time. */
const chunkSize = 65_536

/** The bytes of a file, chunk by chunk, and which part of it has been read by then, from 0 to 1. A chunk is gone with the next one. */
export function* chunksOf(
  path: string,
  bytesAtOnce = chunkSize
): IterableIterator<{ readonly chunk: Buffer; readonly part: number }> {
  const file = openSync(path, "r")
  try {
    const { size } = fstatSync(file)
    const buffer = Buffer.allocUnsafe(bytesAtOnce)
    let read = 0
    for (let bytes = readSync(file, buffer); bytes > 0; bytes = readSync(file, buffer)) {
      read += bytes
      yield { chunk: buffer.subarray(0, bytes), part: Math.min(1, read / size) }
    }
  } finally {
    closeSync(file)
  }
}

/** A text file that is written from its beginning. */
export class TextFile {
  private readonly file: number
  private text = ""

  constructor(path: string, flags: "w" | "wx" = "w") {
    this.file = openSync(path, flags)
  }

  write(text: string): void {
    this.text += text
    if (this.text.length > chunkSize) this.flush()
  }

  close(): void {
    this.flush()
    closeSync(this.file)
  }

  private flush(): void {
    writeFileSync(this.file, this.text)
    this.text = ""
  }
}
