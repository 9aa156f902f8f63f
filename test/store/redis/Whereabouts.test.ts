import { assert, describe, it } from "@effect/vitest"
import * as Connection from "../../../src/store/redis/Connection.ts"

const url = "rediss://ada:secret@one.example:7000/0"
const movedTo = (message: string) => Connection.movedTo(url, new Error(message))

describe("Where keys are in a cluster", () => {
  it("is told by the node that does not have them, and reached as that node was", () => {
    assert.strictEqual(movedTo("MOVED 3999 10.0.0.2:7001"), "rediss://ada:secret@10.0.0.2:7001/0")
    assert.strictEqual(movedTo("MOVED 3999 two.example:7001"), "rediss://ada:secret@two.example:7001/0")
    assert.strictEqual(movedTo("MOVED 3999 fe80::1:7001"), "rediss://ada:secret@[fe80::1]:7001/0")
    // a node that does not know its own host
    assert.strictEqual(movedTo("MOVED 3999 :7001"), "rediss://ada:secret@one.example:7001/0")
  })

  it("is not told by other errors", () => {
    assert.strictEqual(movedTo("ERR MOVED 3999 10.0.0.2:7001"), undefined)
    assert.strictEqual(Connection.movedTo(url, "MOVED 3999 10.0.0.2:7001"), undefined)
  })

  it("is elsewhere when they have moved, or when the server has become a replica", () => {
    const readOnly = "READONLY You can't write against a read only replica."
    const messages = ["MOVED 3999 10.0.0.2:7001", readOnly, `ERR Error running script: @user_script: 3: -${readOnly}`]
    for (const message of messages) assert.isTrue(Connection.isElsewhere(new Error(message)), message)
    assert.isFalse(Connection.isElsewhere(new Error("CLUSTERDOWN The cluster is down")))
  })

  it("may be any node that the cluster has", () => {
    const slots = [
      [0, 8191, ["10.0.0.1", 7000, "a", []], ["10.0.0.2", 7001, "b", []]],
      [8192, 16_383, [null, 7002, "c", []], ["10.0.0.2", 7001, "b", []]]
    ]
    assert.deepStrictEqual(Connection.nodesOf(url, slots), [
      "rediss://ada:secret@10.0.0.1:7000/0",
      "rediss://ada:secret@10.0.0.2:7001/0",
      "rediss://ada:secret@one.example:7002/0"
    ])
    for (const other of [[], "OK", null, [[0, 1, "a:1"]]]) assert.deepStrictEqual(Connection.nodesOf(url, other), [])
  })
})
