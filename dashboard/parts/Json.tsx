/** JSON to read: indented and coloured, always as text, and bounded. */
import { useSignal } from "@preact/signals"
import { Copy } from "./Copy.tsx"

/** Characters that are shown at first, and that are coloured: more of them make a page slow. */
const maxShown = 20_000

const token = /("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null)\b|(-?\b\d[\d.eE+-]*)/g

/** A value, with a way to copy it. */
export const Json = ({ label, value }: { readonly value: unknown; readonly label: string }) => {
  const isWhole = useSignal(false)
  const text = JSON.stringify(value, null, 2) ?? "null"
  const shown = isWhole.value ? text : text.slice(0, maxShown)
  return (
    <div class="json">
      <Copy text={text} label={`Copy the ${label}`} />
      <pre tabIndex={0} aria-label={label}>{text.length > maxShown ? shown : coloured(text)}</pre>
      {shown.length < text.length && (
        <button
          type="button"
          class="quiet"
          onClick={() => {
            isWhole.value = true
          }}
        >
          Show all {text.length.toLocaleString("en")} characters
        </button>
      )}
    </div>
  )
}

const coloured = (text: string) => {
  const parts = []
  let end = 0
  for (const match of text.matchAll(token)) {
    const [whole, string, colon, word, number] = match
    parts.push(text.slice(end, match.index))
    if (string !== undefined) {
      parts.push(<span class={colon === undefined ? "json-string" : "json-name"}>{string}</span>, colon)
    } else parts.push(<span class={word === undefined ? "json-number" : "json-word"}>{word ?? number}</span>)
    end = match.index + whole.length
  }
  parts.push(text.slice(end))
  return parts
}
