/**
 * Where the server listens, which depends on whether it can ask callers who they are. That is known once the store is
 * open, as the keys are in it.
 */
import { Effect } from "effect"
import { InvalidSettings } from "./InvalidSettings.ts"
import type { Settings } from "./Settings.ts"

/** An address, and whether callers need a key from the start. */
export interface ListenAddress {
  readonly host: string
  readonly requireKeys: boolean
}

/** Refuses to let other machines in when nobody is asked who they are, unless that is meant. */
export const decide = (
  { host, insecure }: Pick<Settings, "host" | "insecure">,
  hasKeys: boolean
): Effect.Effect<ListenAddress, InvalidSettings> => {
  const open = hasKeys || insecure
  if (host !== undefined && !isLoopback(host) && !open) {
    return Effect.fail(
      new InvalidSettings({
        problems: [
          `SERVER_HOST=${host}: other machines could run tasks here, and the server has no API keys to ask for; make one ` +
          "with taskforge keys create, set TASKFORGE_INSECURE=1 if everybody may come, or leave SERVER_HOST out to " +
          "listen on 127.0.0.1"
        ]
      })
    )
  }
  return Effect.succeed({ host: host ?? (open ? "0.0.0.0" : "127.0.0.1"), requireKeys: hasKeys })
}

const isLoopback = (host: string): boolean => /^(localhost|127(\.\d+){3}|::1)$/i.test(host)
