/**
 * Room on the disk that is kept for the day when it is full. Removing tasks writes to the log before it gives room back,
 * so without a reserve a full disk could not be helped from here.
 *
 * It is a file next to the database. It is given up, by making it empty, when a write that frees room finds none; from
 * then on nothing is stored that takes room, until the file has its full size again. That is more than the log has: to
 * bring the log into the database may take as much, and only then the log can be made empty.
 */
import { Effect, type Scope } from "effect"
import { createCipheriv } from "node:crypto"
import { closeSync, fstatSync, ftruncateSync, openSync, statfsSync, statSync, writeSync } from "node:fs"
import { dirname } from "node:path"

/** Bytes of the reserve besides those for the log: what removing hundreds of tasks adds to it. */
const minSize = 4 * 1024 * 1024

/** Bytes of the log that there is a reserve for at most: a log that is larger is on its way into the database. */
const maxLogSize = 64 * 1024 * 1024

/** Bytes that have to be free besides before new tasks are accepted again. */
const spareSize = 256 * 1024

/** Bytes that are written at once. */
const chunkSize = 1024 * 1024

/** The reserve of one database. */
export interface Reserve {
  /** It was given up and is not back: what takes room is to be refused. */
  readonly isSpent: () => boolean
  /** Gives it up. Answers whether there was anything to give. */
  readonly giveUp: () => boolean
  /** Makes it again, as far as there is room. Answers whether it has its full size. */
  readonly restore: () => boolean
  /** Whether there is room besides the reserve. */
  readonly hasSpare: () => boolean
  /** Whether a database of so many bytes would fit. */
  readonly fits: (size: number) => boolean
}

/** For databases in memory. */
export const none: Reserve = {
  isSpent: () => false,
  giveUp: () => false,
  restore: () => true,
  hasSpare: () => true,
  fits: () => true
}

/** The reserve of the database at a path. The file is made by the first {@link Reserve.restore} and stays. */
export const make = (path: string): Effect.Effect<Reserve, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new ReserveFile(path)),
      (file) => Effect.sync(() => file.close())
    ),
    (file) => ({
      isSpent: () => file.isSpent,
      giveUp: () => file.giveUp(),
      restore: () => file.restore(),
      hasSpare: () => file.hasSpare(),
      fits: (size) => file.fits(size)
    })
  )

class ReserveFile {
  isSpent = false
  private readonly path: string
  private size = minSize
  private descriptor: number | undefined

  constructor(path: string) {
    this.path = path
  }

  close(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor)
    this.descriptor = undefined
  }

  giveUp(): boolean {
    try {
      const descriptor = this.open()
      if (fstatSync(descriptor).size === 0) return false
      ftruncateSync(descriptor, 0)
      this.isSpent = true
      return true
    } catch {
      return false
    }
  }

  restore(): boolean {
    const log = statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
    this.size = minSize + Math.min(log, maxLogSize)
    if (this.growTo(this.size)) this.isSpent = false
    return !this.isSpent
  }

  hasSpare(): boolean {
    const fits = this.growTo(this.size + spareSize)
    try {
      const descriptor = this.open()
      if (fstatSync(descriptor).size > this.size) ftruncateSync(descriptor, this.size)
    } catch {
      return false
    }
    return fits
  }

  fits(size: number): boolean {
    const { bavail, bsize } = statfsSync(dirname(this.path))
    return size - statSync(this.path).size <= bavail * bsize
  }

  /** Appends until the file has the size. What fits stays, so that no other program gets it. */
  private growTo(size: number): boolean {
    try {
      const descriptor = this.open()
      for (let missing = size - fstatSync(descriptor).size; missing > 0;) {
        missing -= writeSync(descriptor, filling ??= incompressible(), 0, Math.min(missing, chunkSize))
      }
      return true
    } catch {
      return false
    }
  }

  /** Kept open: a process that has no file descriptor left can still give the reserve up. */
  private open(): number {
    return this.descriptor ??= openSync(`${this.path}-reserve`, "a", 0o600)
  }
}

/** What the reserve is made of, again and again. */
let filling: Buffer | undefined

/** Bytes that no file system can compress, which would be no reserve. */
const incompressible = (): Buffer =>
  createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(chunkSize))
