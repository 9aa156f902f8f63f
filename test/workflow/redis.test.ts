import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { connect } from "../store/redis/fixtures.ts"
import { claimsOn } from "./claims.ts"

await withServer("Redis", RedisServer.find, async (server) => {
  claimsOn("Workflows on Redis", await connect(server))
})
