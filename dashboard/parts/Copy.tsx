/** Copies a text to the clipboard, and says that it did. */
import { Icon } from "./Icon.tsx"
import { notify } from "./Notices.tsx"

/** A small button; `label` says what is copied. */
export const Copy = ({ label, text }: { readonly text: string; readonly label: string }) => (
  <button
    type="button"
    class="icon-button copy"
    title={label}
    aria-label={label}
    onClick={() => void copy(text)}
  >
    <Icon name="copy" size={15} />
  </button>
)

const copy = async (text: string): Promise<void> => {
  try {
    await navigator.clipboard.writeText(text)
    notify("good", "Copied")
  } catch {
    // Without https a browser gives no clipboard to pages of other machines
    notify("bad", "This browser does not let the page copy: select the text instead")
  }
}
