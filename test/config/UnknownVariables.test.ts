import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import * as UnknownVariables from "../../src/config/UnknownVariables.ts"

const find = (env: Record<string, string>) =>
  Effect.provideService(UnknownVariables.find, ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))

describe("a variable with our prefix", () => {
  it.effect("that names no setting is told, with the nearest one that does", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* find({ TASKFORGE_LEESE: "2s", TASKFORGE_MAX_CRASH: "1", TASKFORGE_PORT: "80" }), [
        "TASKFORGE_LEESE is not a setting; did you mean TASKFORGE_LEASE?",
        "TASKFORGE_MAX_CRASH is not a setting; did you mean TASKFORGE_MAX_CRASHES?",
        "TASKFORGE_PORT is not a setting; did you mean PORT?"
      ])
    }))

  it.effect("that is like no setting is told alone", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* find({ TASKFORGE_COLOUR_OF_BUTTONS: "red" }), [
        "TASKFORGE_COLOUR_OF_BUTTONS is not a setting"
      ])
    }))

  it.effect("that names a setting is fine, and so are other variables", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* find({ TASKFORGE_LEASE: "2s", HOME: "/root", TASKFORGE_LESE: "" }), [])
    }))

  it.effect("that Kubernetes made is not ours to judge", () =>
    Effect.gen(function*() {
      const env = {
        TASKFORGE_SERVICE_HOST: "10.0.0.1",
        TASKFORGE_SERVICE_PORT: "80",
        TASKFORGE_SERVICE_PORT_HTTP: "80",
        TASKFORGE_PORT: "tcp://10.0.0.1:80",
        TASKFORGE_PORT_80_TCP: "tcp://10.0.0.1:80",
        TASKFORGE_PORT_80_TCP_ADDR: "10.0.0.1"
      }
      assert.deepStrictEqual(yield* find(env), [])
    }))
})
