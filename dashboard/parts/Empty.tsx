/** A place where nothing is yet: it says what would be there, and how to get it there. */
import type { ComponentChildren } from "preact"
import { key } from "../Session.ts"
import { Copy } from "./Copy.tsx"
import { Icon, type IconName } from "./Icon.tsx"

/** What stands there instead. */
export const Empty = ({ children, icon, title }: {
  readonly icon: IconName
  readonly title: string
  readonly children?: ComponentChildren
}) => (
  <div class="empty">
    <Icon name={icon} size={28} />
    <h2>{title}</h2>
    {children}
  </div>
)

/** The command that enqueues a first task. */
export const FirstCommand = () => (
  <Command
    text={`curl ${new URL("api/v1/tasks", location.href.split("#")[0])} \\\n${
      key.value === undefined ? "" : `  -H "authorization: Bearer $TASKFORGE_API_KEY" \\\n`
    }  -H 'content-type: application/json' \\\n  -d '{"type": "echo", "payload": {"hello": "world"}}'`}
  />
)

/** A command to copy. */
export const Command = ({ text }: { readonly text: string }) => (
  <div class="json command">
    <Copy text={text} label="Copy the command" />
    <pre tabIndex={0} aria-label="A command">{text}</pre>
  </div>
)
