import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { matchesGlob } from "node:path"
import * as PathPattern from "../../../src/handlers/files/PathPattern.ts"

const matches = (pattern: string, path: string): boolean => Result.getOrThrow(PathPattern.compile(pattern))(path)

describe("a pattern for paths", () => {
  it.each([
    ["*.tmp", ["a.tmp", "logs/a.tmp", ".tmp", "ä.tmp"], ["a.tmp/b", "a.tmpx"]],
    ["logs/*", ["logs/a", "logs/.a"], ["a", "logs/x/a", "logs"]],
    ["logs/**", ["logs/a", "logs/x/y/a"], ["log/a", "a"]],
    ["**/a", ["a", "x/a", "x/y/a"], ["x/b", "xa"]],
    ["x/**/y/*.log", ["x/y/a.log", "x/1/2/y/a.log"], ["x/y/z/a.log", "y/a.log"]],
    ["?.txt", ["a.txt", "😀.txt"], ["ab.txt", ".txt"]],
    ["[a-c]1", ["a1", "c1"], ["d1", "-1"]],
    ["[!a-c]1", ["d1"], ["a1", "1"]],
    ["[]]", ["]"], ["["]],
    ["{a,b{1,2}}.log", ["a.log", "b1.log", "b2.log"], ["b.log", "c.log"]],
    ["\\*\\{", ["*{"], ["a{", "**"]],
    ["**", ["a", "x/y/a"], []],
    ["[{,}]", ["{", ",", "}"], ["a", "{}"]],
    ["{a}", ["{a}"], ["a"]],
    ["[[:digit:]].log", ["1.log"], ["a.log", ":.log"]],
    ["a+(b).(c|d)^$", ["a+(b).(c|d)^$"], ["abb.c"]]
  ])("%s takes %j and not %j", (pattern, taken, left) => {
    for (const path of taken) assert.isTrue(matches(pattern, path), path)
    for (const path of left) assert.isFalse(matches(pattern, path), path)
  })

  it.each([
    ["[a", "an unclosed bracket"],
    ["{a,b", "an unclosed brace"],
    ["a\\", "a backslash at the end"],
    ["{a,b}".repeat(10), "braces that stand for more than 64 patterns"],
    [`${"{a,b,c,d,e,f,g}".repeat(33)}`, "braces that stand for more than 64 patterns"],
    [`${"{a,b}".repeat(6)}/${"**/a/".repeat(90)}`, "braces and slashes that stand for more than 512 names"],
    ["{a,[}", "an unclosed bracket"],
    ["x".repeat(501), "more than 500"]
  ])("%s is refused", (pattern, reason) => {
    assert.include(Result.getOrThrow(Result.flip(PathPattern.compile(pattern))), reason)
  })

  it("ends soon whatever the pattern and the path are", () => {
    const path = "a".repeat(255)
    for (const piece of ["*a", "?*", "[a-z]*", "**a"]) assert.isFalse(matches(`${piece.repeat(83)}b`, path))
    assert.isFalse(matches(`${"**/a/".repeat(90)}b`, "a/".repeat(1000)))
    assert.isFalse(matches(`${"{a,b}".repeat(6)}/${"**/a/".repeat(3)}b`, "a/".repeat(1000)))
    assert.isTrue(matches(`${"*a".repeat(200)}`, path))
  })

  const letters = Schema.Array(Schema.Literals(["a", "b", "/", "."])).check(Schema.isMaxLength(12))
  const pieces = Schema.Array(Schema.Literals(["a", "b", "*", "?", "/", "[ab]", "{a,b}"])).check(Schema.isMaxLength(8))
  it.prop("agrees with Node's globs where those are plain", [letters, pieces], ([letters, pieces]) => {
    const path = letters.join("").replaceAll(/\/+/g, "/").replace(/^\/|\/$/g, "")
    const pattern = pieces.join("").replaceAll(/\*+/g, "*").replaceAll(/\/+/g, "/").replace(/^\/|\/$/g, "")
    // Node's hide names that begin with a dot, and read dots as folders
    if (path === "" || pattern === "" || /(^|\/)\./.test(path)) return
    const name = pattern.includes("/") ? path : path.slice(path.lastIndexOf("/") + 1)
    assert.strictEqual(matches(pattern, path), matchesGlob(name, pattern), `${pattern} ${path}`)
  })
})
