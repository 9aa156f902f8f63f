/** Every view is an address: what follows the `#`, a path and what it is filtered by. */
import { signal } from "@preact/signals"

/** Where the page is. */
export interface Place {
  /** Its parts, decoded: `tasks`, then an id. */
  readonly path: ReadonlyArray<string>
  readonly query: Readonly<Record<string, string>>
}

const read = (): Place => {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?", 2)
  return {
    path: path.split("/").filter((part) => part !== "").map(decoded),
    query: Object.fromEntries(new URLSearchParams(query))
  }
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** The place that is shown. */
export const place = signal<Place>(read())

addEventListener("hashchange", () => {
  place.value = read()
})

/** The address of a place; parameters that are undefined or empty are left out. */
export const link = (
  path: ReadonlyArray<string>,
  query: Readonly<Record<string, string | number | undefined>> = {}
): string => {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, String(value)]]
  )
  const search = given.length === 0 ? "" : `?${new URLSearchParams(given)}`
  return `#/${path.map(encodeURIComponent).join("/")}${search}`
}

/** Goes to an address that {@link link} has made. */
export const go = (address: string): void => {
  location.hash = address
}
