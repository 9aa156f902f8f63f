/** Sentences of the server, in which instants stand as RFC 3339 writes them: people read them by the server's clock. */
import * as Texts from "../Texts.ts"
import { now } from "./Time.tsx"

const instants = /(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/

/** The sentence: the time of day of what is today, date and time of what is not. */
export const Words = ({ text }: { readonly text: string }) => (
  <>
    {text.split(instants).map((part, index) =>
      index % 2 === 0 ? part : <time key={index} dateTime={part} title={part}>{short(part)}</time>
    )}
  </>
)

const short = (at: string): string => {
  const [today] = Texts.instant(now.value).split(" ")
  const [date, clock] = Texts.instant(at).split(" ")
  return date === today ? clock! : `${date} ${clock}`
}
