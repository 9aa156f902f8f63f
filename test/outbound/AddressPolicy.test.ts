import { assert, describe, it } from "@effect/vitest"
import * as AddressPolicy from "../../src/outbound/AddressPolicy.ts"

const refused = (address: string, allowed: ReadonlyArray<string> = [], host = "example.org") =>
  AddressPolicy.make(allowed).refuse(host, address) !== undefined

describe("the addresses that tasks may connect to", () => {
  it.each([
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "198.18.0.1",
    "192.0.2.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2001:0:1::",
    "fe80::1",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1"
  ])("are not %s", (address) => assert.isTrue(refused(address)))

  it.each(["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"])(
    "include %s",
    (address) => assert.isFalse(refused(address))
  )

  it("include what the configuration names, and nothing beside it", () => {
    assert.isFalse(refused("10.1.2.3", ["10.1.0.0/16"]))
    assert.isFalse(refused("::ffff:10.1.2.3", ["10.1.0.0/16"]))
    assert.isTrue(refused("10.2.2.3", ["10.1.0.0/16"]))
    assert.isFalse(refused("127.0.0.1", ["127.0.0.1"]))
    assert.isTrue(refused("127.0.0.2", ["127.0.0.1"]))
    assert.isFalse(refused("fd00::1", ["fd00::/8"]))
    assert.isFalse(refused("10.1.2.3", ["Build.Internal"], "build.internal"))
    assert.isTrue(refused("10.1.2.3", ["build.internal"], "other.internal"))
    assert.isFalse(refused("10.1.2.3", ["*.internal"], "a.b.internal"))
    assert.isTrue(refused("10.1.2.3", ["*.internal"], "internal"))
    assert.isTrue(refused("10.1.2.3", ["*.internal"], "eviinternal"))
  })

  it("are named by addresses, ranges and hosts", () => {
    for (const entry of ["10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "localhost", "*.example.internal"]) {
      assert.isTrue(AddressPolicy.isEntry(entry), entry)
    }
    for (const entry of ["", "*", "10.0.0.0/33", "10.0.0.0/8/8", "http://a", "a b", "a:80"]) {
      assert.isFalse(AddressPolicy.isEntry(entry), entry)
    }
  })
})
