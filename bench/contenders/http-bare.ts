import { createServer } from "node:http"
import type { ServerParameters } from "../Contender.ts"

const { port }: ServerParameters = JSON.parse(process.argv[2]!)

createServer((request, response) => {
  let body = ""
  request.setEncoding("utf8")
  request.on("data", (chunk: string) => {
    body += chunk
  })
  request.on("end", () => {
    const answer = JSON.stringify(body === "" ? {} : { id: "1", ...JSON.parse(body) })
    response.writeHead(201, { "content-type": "application/json", "content-length": Buffer.byteLength(answer) })
    response.end(answer)
  })
}).listen(port, "127.0.0.1")
