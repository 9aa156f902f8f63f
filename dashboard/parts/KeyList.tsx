/** Shows the keys of the page. */
import { useEffect, useRef } from "preact/hooks"
import { keys, open, pageKeys } from "../Keys.ts"

/** The list, until it is closed. */
export const KeyList = (
  { pages }: { readonly pages: ReadonlyArray<{ readonly path: string; readonly name: string }> }
) => {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  return (
    <dialog
      ref={dialog}
      class="dialog keys"
      aria-label="Keys"
      onClose={() => {
        if (open.value === "keys") open.value = undefined
      }}
      onClick={(event) => {
        if (event.target === dialog.current) dialog.current?.close()
      }}
    >
      <form method="dialog">
        <h2>Keys</h2>
        <dl>
          {keys.map(({ keys, name }) => <Row key={name} keys={keys} name={name} />)}
          <Row keys={["Esc"]} name="Closes what is open" />
        </dl>
        <h3>Pages</h3>
        <dl>
          {Object.entries(pageKeys).map(([letter, path]) => (
            <Row
              key={letter}
              keys={["g", letter]}
              name={pages.find((page) => page.path === path)?.name ?? path}
            />
          ))}
        </dl>
        <p class="soft">In a chart the arrow keys walk along it. Every link and button is reached with Tab.</p>
        <div class="dialog-buttons">
          <button type="submit">Close</button>
        </div>
      </form>
    </dialog>
  )
}

const Row = ({ keys, name }: { readonly keys: ReadonlyArray<string>; readonly name: string }) => (
  <div>
    <dt>{keys.map((key) => <kbd key={key}>{key}</kbd>)}</dt>
    <dd>{name}</dd>
  </div>
)
