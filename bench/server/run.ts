/**
 * What the server does under load: `npm run bench:server -- sustain 10000 120`, `running 1000`, `compare`, `parts`,
 * `subscribers 5000`, `stored 1000 1000000`.
 */
import { compare, parts } from "./compare.ts"
import { build } from "./Server.ts"
import { stored } from "./stored.ts"
import { subscribers } from "./subscribers.ts"
import { manyRunning, sustain } from "./sustain.ts"

const [name = "sustain", ...given] = process.argv.slice(2)
const [first, second] = given.map(Number)

build()
switch (name) {
  case "sustain":
    await sustain(first ?? 10_000, second ?? 120)
    break
  case "running":
    await manyRunning(first ?? 1000)
    break
  case "compare":
    await compare(["off", "on"], first ?? 3)
    break
  case "parts":
    await compare(Object.keys(parts), first ?? 1)
    break
  case "subscribers":
    await subscribers(first ?? 5000)
    break
  case "stored":
    await stored(first ?? 1000, second ?? 1_000_000)
    break
  default:
    throw new Error(`There is no measurement ${name}`)
}
