/** Sends requests as fast as the server answers, many at once on a connection, and reads the answers in order. */
import { connect, type Socket } from "node:net"

/** An answer. */
export interface Answer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Sends requests in pipelines of this length. */
const pipelined = 40

/** Sends all requests over one connection after the other, and answers what came back for each. */
export const sendAll = async (
  port: number,
  requests: ReadonlyArray<{ readonly text: string; readonly method: string }>
): Promise<ReadonlyArray<Answer>> => {
  const answers: Array<Answer> = []
  let reopened = 0
  while (answers.length < requests.length) {
    const before = answers.length
    await session(port, requests, answers)
    // A server may close a connection after an answer, but not without any
    if (answers.length === before && ++reopened > 3) {
      throw new Error(`no answer to ${JSON.stringify(requests[before]!.text.slice(0, 500))}`)
    }
  }
  return answers
}

/** One connection, until the server closes it or everything is answered. */
const session = (
  port: number,
  requests: ReadonlyArray<{ readonly text: string; readonly method: string }>,
  answers: Array<Answer>
): Promise<void> =>
  new Promise((resolve) => {
    let received = ""
    let sent = answers.length
    const socket = connect(port, "127.0.0.1")
    socket.setEncoding("latin1")
    const send = () => {
      const batch = requests.slice(sent, sent + pipelined)
      sent += batch.length
      socket.write(batch.map(({ text }) => text).join(""))
    }
    socket.on("connect", send)
    socket.on("data", (chunk: string) => {
      received += chunk
      for (;;) {
        const request = requests[answers.length]
        const parsed = request && parse(received, request.method)
        if (parsed === undefined) break
        received = received.slice(parsed.length)
        if (parsed.answer.status !== 100) answers.push(parsed.answer)
      }
      if (answers.length === requests.length) socket.destroy()
      else if (answers.length === sent) send()
    })
    socket.on("error", () => {})
    socket.on("close", () => resolve())
  })

/**
 * Sends a text on a connection of its own and answers all that came back, until nothing has come for a while: many of
 * the texts are no whole request.
 */
export const exchange = (port: number, text: string, silenceMs: number): Promise<string> =>
  new Promise((resolve) => {
    let received = ""
    const socket: Socket = connect(port, "127.0.0.1", () => socket.write(Buffer.from(text, "latin1")))
    const timer = setTimeout(() => socket.destroy(), silenceMs)
    socket.setEncoding("latin1")
    socket.on("data", (chunk: string) => {
      received += chunk
      timer.refresh()
      // All that a broken connection is told fits into one answer
      if (/\r\n\r\n[^]*\}$/.test(received)) socket.destroy()
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      clearTimeout(timer)
      resolve(received)
    })
  })

const parse = (text: string, method: string): { readonly answer: Answer; readonly length: number } | undefined => {
  const end = text.indexOf("\r\n\r\n")
  if (end === -1) return undefined
  const head = text.slice(0, end)
  const status = Number(head.slice(9, 12))
  const start = end + 4
  if (method === "HEAD" || status === 204 || status === 304 || status === 100) {
    return { answer: { status, head, body: "" }, length: start }
  }
  const size = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN)
  if (Number.isNaN(size) || text.length < start + size) return undefined
  return { answer: { status, head, body: text.slice(start, start + size) }, length: start + size }
}
