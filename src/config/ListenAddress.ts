/**
 * Where the server listens, which depends on whether it can ask callers who they are. That is known once the store is
 * open, as keys are in it.
 */
import { Effect } from "effect"
import { InvalidSettings } from "./InvalidSettings.ts"
import type { Settings } from "./Settings.ts"

/** An address, and whether callers need a key from the start. */
export interface ListenAddress {
  readonly host: string
  readonly requireKeys: boolean
}

/**
 * Refuses to let other machines in when callers are asked for no key, unless that is meant. Only settings open the server
 * to other machines by themselves: a key that was made in the store does not.
 */
export const decide = (
  { adminKey, host, insecure, requireKeys }: Pick<Settings, "adminKey" | "host" | "insecure" | "requireKeys">,
  hasKeys: boolean
): Effect.Effect<ListenAddress, InvalidSettings> => {
  const keysAreSet = requireKeys || adminKey !== undefined
  const asks = keysAreSet || hasKeys
  if (insecure && keysAreSet) {
    return refuse(
      "TASKFORGE_INSECURE=1: the server asks for keys because of TASKFORGE_REQUIRE_KEYS or TASKFORGE_ADMIN_KEY; leave one " +
        "of them out"
    )
  }
  if (host !== undefined && !isLoopback(host) && !asks && !insecure) {
    return refuse(
      `SERVER_HOST=${host}: other machines could run tasks here, and the server asks for no API key; set ` +
        "TASKFORGE_ADMIN_KEY, or make a key with taskforge keys create, set TASKFORGE_INSECURE=1 if every caller may come, " +
        "or leave SERVER_HOST out to listen on 127.0.0.1"
    )
  }
  return Effect.succeed({ host: host ?? (keysAreSet || insecure ? "0.0.0.0" : "127.0.0.1"), requireKeys: asks })
}

const refuse = (problem: string) => Effect.fail(new InvalidSettings({ problems: [problem] }))

/** Whether an address is reached from its own machine only. */
export const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|::1)$/i.test(host)
