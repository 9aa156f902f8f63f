/**
 * Which addresses tasks may connect to. Whoever may create tasks could else reach what only this machine can: databases
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
        : contains(special, address)
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

/** The special-purpose registries of IANA: private, loopback, link-local (cloud metadata), shared, multicast, ways around. */
const special = new BlockList()
for (
  const range of [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    // Ways to write or to reach IPv4 addresses: translated (NAT64), 6to4, Teredo, compatible
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2002::/16",
    "2001::/23",
    "100::/64",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8"
  ]
) addTo(special, range)
