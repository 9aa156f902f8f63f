/**
 * What goes over the connections of a client: the text of each statement, the types that its parameters are sent as, and
 * the types of the columns that come back.
 */
import { Socket } from "node:net"

/** The type of `pg_notify`, which the client itself asks for, and whose answer nobody reads. */
const voidOid = 2278

/** A statement that was sent. */
export interface Statement {
  readonly text: string
  /** Types by number; 0 leaves it to the server. */
  readonly parameters: ReadonlyArray<number>
  /** Types of the columns, if it answers rows. */
  columns: ReadonlyArray<number>
}

/** Listens in on connections that are not encrypted. */
export class Wire {
  /** Each statement once, by its text and the types of its parameters. */
  readonly statements = new Map<string, Statement>()
  private readonly url: URL

  constructor(url: string) {
    this.url = new URL(url)
  }

  /** A client's option `stream`. */
  readonly stream = (): Socket =>
    new Tapped(this.statements).connect(this.url.port === "" ? 5432 : Number(this.url.port), this.url.hostname)
}

class Tapped extends Socket {
  private readonly statements: Map<string, Statement>
  private readonly asked = new Messages()
  private readonly answered = new Messages()
  private last: Statement | undefined
  private started = false

  constructor(statements: Map<string, Statement>) {
    super()
    this.statements = statements
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.sent(chunk)
    super._write(chunk, encoding, callback)
  }

  override _writev(
    chunks: Array<{ chunk: Buffer; encoding: BufferEncoding }>,
    callback: (error?: Error | null) => void
  ): void {
    for (const { chunk } of chunks) this.sent(chunk)
    super._writev?.(chunks, callback)
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (Buffer.isBuffer(chunk)) {
      for (const [type, body] of this.answered.add(chunk)) {
        if (type === "T" && this.last !== undefined) this.last.columns = columnsOf(body)
      }
    }
    return super.push(chunk, encoding)
  }

  private sent(chunk: Buffer): void {
    // The first message, which asks for the connection, has no type
    const messages = this.started ? chunk : chunk.subarray(chunk.readInt32BE(0))
    this.started = true
    for (const [type, body] of this.asked.add(messages)) {
      if (type !== "P") continue
      const statement = statementOf(body)
      const key = `${statement.parameters.join()} ${statement.text}`
      this.last = this.statements.get(key) ?? statement
      this.statements.set(key, this.last)
    }
  }
}

/** Cuts a stream of bytes into messages: a letter, a length that includes itself, and a body. */
class Messages {
  /** What is held of a message that has not come whole, in order. */
  private parts: Array<Buffer> = []
  private held = 0
  /** Bytes of that message, as far as is known. */
  private needed = headBytes

  add(chunk: Buffer): ReadonlyArray<readonly [type: string, body: Buffer]> {
    const found: Array<readonly [string, Buffer]> = []
    let rest = chunk
    // A large message comes in many chunks, and is put together once
    if (this.held > 0) {
      this.hold(chunk)
      if (this.held < this.needed) return found
      rest = Buffer.concat(this.parts)
    }
    this.parts = []
    this.held = 0
    for (;;) {
      this.needed = rest.length < headBytes ? headBytes : 1 + rest.readInt32BE(1)
      if (rest.length < this.needed) break
      found.push([String.fromCharCode(rest[0]!), rest.subarray(headBytes, this.needed)])
      rest = rest.subarray(this.needed)
    }
    if (rest.length > 0) this.hold(rest)
    return found
  }

  /** A copy: the client may write something else into what it has sent. */
  private hold(part: Buffer): void {
    this.parts.push(Buffer.from(part))
    this.held += part.length
  }
}

/** The letter and the length of a message. */
const headBytes = 5

const statementOf = (body: Buffer): Statement => {
  const nameEnd = body.indexOf(0)
  const textEnd = body.indexOf(0, nameEnd + 1)
  const count = body.readInt16BE(textEnd + 1)
  return {
    text: body.toString("utf8", nameEnd + 1, textEnd),
    parameters: Array.from({ length: count }, (_, index) => body.readInt32BE(textEnd + 3 + 4 * index)),
    columns: []
  }
}

const columnsOf = (body: Buffer): ReadonlyArray<number> => {
  const types: Array<number> = []
  for (let place = 2; place < body.length;) {
    const nameEnd = body.indexOf(0, place)
    types.push(body.readInt32BE(nameEnd + 7))
    place = nameEnd + 19
  }
  return types.filter((type) => type !== voidOid)
}
