import * as MemoryStore from "../../src/store/memory/MemoryStore.ts"
import { runOn } from "./TaskForge.ts"

runOn(({ capacity }) => MemoryStore.layer({ capacity }))
