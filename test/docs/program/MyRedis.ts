import * as NodeRedis from "@effect/platform-node/NodeRedis"

export const MyRedis = NodeRedis.layer({ url: "redis://localhost:6379" })
