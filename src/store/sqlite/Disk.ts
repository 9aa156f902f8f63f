/**
 * What lies on the disk next to what SQLite knows: whether its files are where they were, and room for the day when the
 * disk is full.
 */
import { Effect, type Scope } from "effect"
import { createCipheriv } from "node:crypto"
import { closeSync, fstatSync, ftruncateSync, openSync, statfsSync, statSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import type { Room } from "../WriteHealth.ts"

/**
 * Whether the files that are open are still those that their names lead to: answers the first that was deleted or replaced
 * since. A database that was goes on working for those who have it open, and what they store then is gone with them.
 */
export type FileIdentity = () => Missing | undefined

/** What became of a file. */
export interface Missing {
  readonly path: string
  readonly how: "deleted" | "replaced"
}

/** For databases in memory. */
export const noIdentity: FileIdentity = () => undefined

/** Remembers which files an open database in WAL mode has: itself, its log and the log's index. */
export const identityOfOpen = (path: string): FileIdentity => {
  const files = [path, `${path}-wal`, `${path}-shm`].map((name) => ({ name, opened: identityOf(name) }))
  return () => {
    for (const { name, opened } of files) {
      if (opened === undefined) continue
      const found = identityOf(name)
      if (found !== opened) return { path: name, how: found === undefined ? "deleted" : "replaced" }
    }
    return undefined
  }
}

/** The file that a name leads to. Where it cannot be looked at, the name leads nowhere. */
const identityOf = (path: string): string | undefined => {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return undefined
  }
}

/** Bytes of the reserve besides those for the log: what removing hundreds of tasks adds to it. */
const minSize = 4 * 1024 * 1024

/** Bytes of the log that there is a reserve for at most: a log that is larger is on its way into the database. */
const maxLogSize = 64 * 1024 * 1024

/** Bytes that have to be free besides before new tasks are accepted again. */
const spareSize = 256 * 1024

/** Bytes that are written at once. */
const chunkSize = 1024 * 1024

/** The reserve of the database at a path; none for one in memory. The file is made by the first {@link Reserve.restore} and stays. */
export const makeReserve = (path: string | undefined): Effect.Effect<Reserve, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Reserve(path)),
    (reserve) => Effect.sync(() => reserve.close())
  )

/**
 * Room on the disk that is kept for the day when it is full. Removing tasks writes to the log before it gives room back,
 * so without a reserve a full disk could not be helped from here.
 *
 * It is a file next to the database. It is given up, by making it empty, when a write that frees room finds none; from
 * then on nothing is stored that takes room, until the file has its full size again. That is more than the log has: to
 * bring the log into the database may take as much, and only then the log can be made empty.
 */
export class Reserve {
  /** It was given up and is not back: what takes room is to be refused. */
  isSpent = false
  private readonly path: string | undefined
  private size = minSize
  private descriptor: number | undefined

  constructor(path?: string) {
    this.path = path
  }

  close(): void {
    if (this.descriptor !== undefined) closeSync(this.descriptor)
    this.descriptor = undefined
  }

  /** Gives it up. Answers whether there was anything to give. */
  giveUp(): boolean {
    if (this.path === undefined) return false
    try {
      const descriptor = this.open(this.path)
      if (fstatSync(descriptor).size === 0) return false
      ftruncateSync(descriptor, 0)
      this.isSpent = true
      return true
    } catch {
      return false
    }
  }

  /** Makes it again, as far as there is room. Answers whether it has its full size. */
  restore(): boolean {
    if (this.path === undefined) return true
    const log = statSync(`${this.path}-wal`, { throwIfNoEntry: false })?.size ?? 0
    this.size = minSize + Math.min(log, maxLogSize)
    if (this.growTo(this.path, this.size)) this.isSpent = false
    return !this.isSpent
  }

  /** Whether there is room besides the reserve. */
  hasSpare(): boolean {
    if (this.path === undefined) return true
    const fits = this.growTo(this.path, this.size + spareSize)
    try {
      const descriptor = this.open(this.path)
      if (fstatSync(descriptor).size > this.size) ftruncateSync(descriptor, this.size)
    } catch {
      return false
    }
    return fits
  }

  /** What is free of the disk, and how large it is. */
  room(): Room | undefined {
    if (this.path === undefined) return undefined
    try {
      const { bavail, blocks, bsize } = statfsSync(dirname(this.path))
      return { free: bavail * bsize, total: blocks * bsize }
    } catch {
      return undefined
    }
  }

  /** Whether a database of so many bytes would fit. */
  fits(size: number): boolean {
    if (this.path === undefined) return true
    return size - statSync(this.path).size <= (this.room()?.free ?? 0)
  }

  /** Appends until the file has the size. What fits stays, so that no other program gets it. */
  private growTo(path: string, size: number): boolean {
    try {
      const descriptor = this.open(path)
      for (let missing = size - fstatSync(descriptor).size; missing > 0;) {
        missing -= writeSync(descriptor, filling ??= incompressible(), 0, Math.min(missing, chunkSize))
      }
      return true
    } catch {
      return false
    }
  }

  /** Kept open: a process that has no file descriptor left can still give the reserve up. */
  private open(path: string): number {
    return this.descriptor ??= openSync(`${path}-reserve`, "a", 0o600)
  }
}

/** What the reserve is made of, again and again. */
let filling: Buffer | undefined

/** Bytes that no file system can compress, which would be no reserve. */
const incompressible = (): Buffer =>
  createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(chunkSize))
