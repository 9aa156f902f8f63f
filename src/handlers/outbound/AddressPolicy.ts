/**
 * Which addresses tasks may connect to. A client that may create tasks could otherwise reach what only this machine can: databases
 * without passwords, the metadata service of a cloud, the router.
 */
import { BlockList, isIP } from "node:net"

/** Decides about an address that a host's name was resolved to. */
export interface AddressPolicy {
  /** Why tasks may not connect to this address of the host; `undefined` when they may. */
  readonly refuse: (host: string, address: string) => string | undefined
}

/**
 * Every address of the public Internet is allowed. Others need an entry: an address, a range such as `10.0.0.0/8`, a
 * host's name, or `*.example.internal`. A named host may have any address.
 */
export const make = (allowed: ReadonlyArray<string>): AddressPolicy => {
  const ranges = new BlockList()
  const names: Array<string> = []
  for (const entry of allowed) {
    if (!addTo(ranges, entry)) names.push(entry.toLowerCase())
  }
  return {
    refuse: (host, address) =>
      names.some((name) => isNamed(name, host.toLowerCase())) || contains(ranges, address)
        ? undefined
        : !isPublic(address)
        ? `${address} is not an address of the public Internet`
        : undefined
  }
}

/** Whether a text can be an entry. */
export const isEntry = (text: string): boolean =>
  addTo(new BlockList(), text) || /^(\*\.)?[\w-]+(\.[\w-]+)*$/.test(text)

const isNamed = (name: string, host: string): boolean =>
  name.startsWith("*.") ? host.endsWith(name.slice(1)) : host === name

/** An IPv4 address inside an IPv6 one (`::ffff:10.0.0.1`) counts as the IPv4 address. */
const contains = (list: BlockList, address: string): boolean =>
  list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4")

const addTo = (list: BlockList, text: string): boolean => {
  const [address = "", bits, ...rest] = text.split("/")
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  const family = version === 6 ? "ipv6" : "ipv4"
  if (bits === undefined) {
    list.addAddress(address, family)
    return true
  }
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > (version === 6 ? 128 : 32)) return false
  list.addSubnet(address, Number(bits), family)
  return true
}

/** Ranges as a list that addresses are looked up in. */
const listOf = (...texts: ReadonlyArray<string>): BlockList => {
  const list = new BlockList()
  for (const text of texts) addTo(list, text)
  return list
}

/** An IPv4 address written as an IPv6 one is that IPv4 address, and `BlockList` finds it in ranges of IPv4. */
const mapped = listOf("::ffff:0:0/96")

/** All that IANA assigns to the public Internet in IPv6 ("IPv6 Global Unicast Address Space"); the rest has no use there. */
const unicast = listOf("2000::/3")

/**
 * What has another purpose: the special-purpose address registries of IANA for IPv4 and IPv6 (RFC 6890), and multicast.
 * IPv4 addresses are given out to the last, so here the exceptions say everything.
 */
const special = listOf(
  "0.0.0.0/8", // this network
  "10.0.0.0/8", // private
  "100.64.0.0/10", // shared between a provider and its customers
  "127.0.0.0/8", // loopback
  "169.254.0.0/16", // link-local, with the metadata of clouds
  "172.16.0.0/12", // private
  "192.0.0.0/24", // protocols of the IETF
  "192.0.2.0/24", // documentation
  "192.88.99.0/24", // 6to4 relays, deprecated
  "192.168.0.0/16", // private
  "198.18.0.0/15", // benchmarks
  "198.51.100.0/24", // documentation
  "203.0.113.0/24", // documentation
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, broadcast
  // Within the unicast addresses of IPv6
  "2001::/23", // protocols of the IETF: Teredo (2001::/32), benchmarks (2001:2::/48), ORCHID (2001:10::/28, 2001:20::/28)
  "2001:db8::/32", // documentation
  "2002::/16", // 6to4, which carries any IPv4 address
  "3fff::/20" // documentation
)

/** Whether an address is one of the public Internet. An address with a zone (`fe80::1%eth0`) belongs to a link. */
const isPublic = (address: string): boolean =>
  isIP(address) !== 0 && !address.includes("%") && !contains(special, address) &&
  (isIP(address) === 4 || contains(mapped, address) || contains(unicast, address))
