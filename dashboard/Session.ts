/** Who looks at the page: the key, what it may do, and the clock of the server that it was shown to. */
import { computed, signal } from "@preact/signals"
import type { Me, Role } from "./Wire.ts"

const place = "taskforge.key"

/** A browser may refuse to keep anything. */
const kept = (storage: () => Storage): string | undefined => {
  try {
    return storage().getItem(place) ?? undefined
  } catch {
    return undefined
  }
}

/** The API key, if one was given. It goes with each request in a header, never in an address. */
export const key = signal<string | undefined>(kept(() => sessionStorage) ?? kept(() => localStorage))

/** Whether the server has refused to answer without a key, or with this one. */
export const isLockedOut = signal(false)

/** What the server says of the caller, once it has. */
export const me = signal<Me | undefined>(undefined)

/** Milliseconds that the server's clock is ahead of the browser's. */
const ahead = signal(0)

/** Takes what the server says of the caller; `asked` is when it was asked, by the browser's clock. */
export const introduce = (found: Me, asked: number): void => {
  const middle = (asked + Date.now()) / 2
  ahead.value = Date.parse(found.timestamp) - middle
  me.value = found
  isLockedOut.value = false
}

/** The time by the server's clock, in milliseconds. */
export const serverNow = (): number => Date.now() + ahead.value

/** The server's time zone. Until it is known, the browser's. */
export const timeZone = computed(() => me.value?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone)

/** Uses a key from now on, and keeps it until the tab is closed, or in this browser. */
export const signIn = (secret: string, isKept: boolean): void => {
  forget()
  try {
    const storage = isKept ? localStorage : sessionStorage
    storage.setItem(place, secret)
  } catch {
    // It holds until the page is left
  }
  key.value = secret
}

/** Forgets the key. */
export const signOut = (): void => {
  forget()
  key.value = undefined
  me.value = undefined
  isLockedOut.value = true
}

const forget = (): void => {
  for (const storage of [() => sessionStorage, () => localStorage]) {
    try {
      storage().removeItem(place)
    } catch {
      // Nothing was kept there
    }
  }
}

const roles: ReadonlyArray<Role> = ["read", "write", "admin"]

/** Whether the caller may do what needs a role. */
export const may = (needed: Role): boolean => {
  const role = me.value?.role
  return role !== undefined && roles.indexOf(role) >= roles.indexOf(needed)
}
