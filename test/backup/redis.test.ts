import * as RedisServer from "../servers/Redis.ts"
import { withServer } from "../servers/withServer.ts"
import { connect } from "../store/redis/fixtures.ts"
import { backups } from "./backups.ts"

await withServer("Redis", RedisServer.find, async (server) => {
  const { advance, layer } = await connect(server)
  backups("a Redis deployment", { layer, advance, live: true })
})
