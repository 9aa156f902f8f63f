/** Times that stay right while they are looked at, by the server's clock. */
import { signal } from "@preact/signals"
import { serverNow } from "../Session.ts"
import * as Texts from "../Texts.ts"

/** The server's time; it moves once a second. */
export const now = signal(serverNow())

setInterval(() => {
  if (!document.hidden) now.value = serverNow()
}, 1000)

document.addEventListener("visibilitychange", () => {
  now.value = serverNow()
})

/** How far a time is from now; pointing at it shows the time in the server's zone. */
export const Ago = ({ at }: { readonly at: string }) => (
  <time dateTime={at} title={`${Texts.instant(at)} ${zone()}`}>{Texts.distance(Date.parse(at), now.value)}</time>
)

/** Date and time in the server's zone. */
export const Instant = ({ at }: { readonly at: string }) => (
  <time dateTime={at} title={at}>{Texts.instant(at)}</time>
)

/** How long something took, or takes as long as it has no end. */
export const Lasting = ({ from, to }: { readonly from: string; readonly to?: string | null | undefined }) => (
  <span class="number">{Texts.duration((typeof to === "string" ? Date.parse(to) : now.value) - Date.parse(from))}</span>
)

const zone = (): string => Texts.zoneName()
