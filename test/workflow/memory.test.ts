import { Effect } from "effect"
import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { claims, claimsOn } from "./claims.ts"
import { effects } from "./subjects.ts"

claims("Workflows on Effect's engine in memory", effects)
claimsOn("Workflows on memory", { layer: MemoryStore.layer, advance: () => Effect.void })
