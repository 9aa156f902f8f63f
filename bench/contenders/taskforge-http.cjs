// The server as `npm start` runs it: CommonJS, because stripping types at run time costs memory of its own. A line of
// log per task is left out, as the endpoints it is compared with write none.
const { port, directory } = JSON.parse(process.argv[2])
Object.assign(process.env, {
  SERVER_PORT: String(port),
  STORE_URL: `sqlite:${directory}/tasks.db`,
  QUEUE_SIZE: "1000000",
  LOG_LEVEL: "warn"
})
require("../../dist/server.cjs")
