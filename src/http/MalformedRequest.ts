/** What is no HTTP at all, or too much of it: answered before there is a request, then the connection ends. */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"

interface Refusal {
  readonly status: string
  readonly code: string
  readonly message: string
}

const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: "431 Request Header Fields Too Large",
    code: "headers_too_large",
    message: "The head of the request is too large"
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: "413 Payload Too Large",
    code: "body_too_large",
    message: "The chunk extensions are too large"
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: "408 Request Timeout",
    code: "request_timeout",
    message: "The request took too long to arrive"
  }
}

const malformed: Refusal = {
  status: "400 Bad Request",
  code: "malformed_request",
  message: "This is not a request of HTTP/1.1"
}

/** To be called for each `clientError` of a server. */
export const answer = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy()
    return
  }
  const { code, message, status } = refusals[error.code ?? ""] ?? malformed
  const body = JSON.stringify({ error: { code, message } })
  // In the middle of an answer it would be read as a part of that
  if (isAnswering(socket)) {
    socket.destroy()
    return
  }
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `x-content-type-options: nosniff\r\nconnection: close\r\n\r\n${body}`
  )
}

/** To be called for each `checkExpectation`: only `100-continue` can be met. */
export const refuseExpectation = (_request: IncomingMessage, response: ServerResponse): void => {
  const error = { code: "expectation_failed", message: "This server meets no expectation but 100-continue" }
  const body = JSON.stringify({ error })
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body), connection: "close" }
  response.writeHead(417, headers).end(body)
}

/** Node keeps the answer that is being written on its socket. */
const isAnswering = (socket: Duplex): boolean => {
  const { _httpMessage } = socket as Duplex & { readonly _httpMessage?: { readonly headersSent: boolean } | null }
  return _httpMessage?.headersSent === true
}
