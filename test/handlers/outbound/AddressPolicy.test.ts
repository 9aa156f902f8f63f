import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as AddressPolicy from "../../../src/handlers/outbound/AddressPolicy.ts"

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
    "ff02::1",
    // Without a purpose on the public Internet, now or yet
    "1::1",
    "400::1",
    "4000::1",
    "8000::1",
    "e000::1",
    "100::1",
    "5f00::1",
    "fec0::1",
    "::ffff:0:8.8.8.8",
    "64:ff9b::808:808",
    "64:ff9b:1::808:808",
    // Inside the public range with another purpose: Teredo, benchmarks, ORCHID, 6to4, documentation
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002:808:808::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    // On a link
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    // No address at all
    "",
    "localhost",
    "1.2.3"
  ])("are not %s", (address) => assert.isTrue(refused(address)))

  it.each([
    "1.1.1.1",
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "2001:200::1",
    "2001:db7::1",
    "2003::1",
    "3ffe::1",
    "::ffff:8.8.8.8"
  ])(
    "include %s",
    (address) => assert.isFalse(refused(address))
  )

  const block = (first: string, bits: number) => {
    const start = BigInt(`0x${first.padEnd(32, "0")}`)
    return { start, end: start + (1n << BigInt(128 - bits)) - 1n }
  }
  const unicast = block("2", 3)
  const others = [block("2001", 23), block("20010db8", 32), block("2002", 16), block("3fff", 20)]
  const isPublic = (address: bigint) =>
    unicast.start <= address && address <= unicast.end &&
    !others.some(({ end, start }) => start <= address && address <= end)
  const agrees = (address: bigint) => {
    const text = address.toString(16).padStart(32, "0").match(/.{4}/g)!.join(":")
    return refused(text) === !isPublic(address)
  }
  const group = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff }))
  const rest = Schema.Array(group).check(Schema.isMinLength(6), Schema.isMaxLength(6))
  const addressOf = (groups: ReadonlyArray<number>) =>
    BigInt(`0x${groups.map((one) => one.toString(16).padStart(4, "0")).join("")}`)

  it("end in IPv6 where the blocks of the registries do", () => {
    const edges = [unicast, ...others].flatMap(({ end, start }) => [start - 1n, start, end, end + 1n])
    for (const edge of edges) assert.isTrue(agrees(edge), edge.toString(16))
  })

  it.prop(
    "are in IPv6 those of 2000::/3 without the blocks that have another purpose",
    [
      Schema.Union([group, Schema.Literals([0x1fff, 0x2000, 0x2001, 0x2002, 0x3ffe, 0x3fff, 0x4000])]),
      Schema.Union([group, Schema.Literals([0, 0x1ff, 0x200, 0xdb7, 0xdb8, 0xdb9, 0xfff, 0x1000])]),
      rest
    ],
    ([first, second, others]) => agrees(addressOf([first, second, ...others]))
  )

  it.prop("are the same in IPv4 when they are written as IPv6", [group, group], ([high, low]) => {
    const bytes = [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".")
    const hex = `::ffff:${high.toString(16)}:${low.toString(16)}`
    return refused(bytes) === refused(hex) && refused(bytes) === refused(`::ffff:${bytes}`)
  })

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
