/** Asks for an API key where the server needs one. */
import { useSignal } from "@preact/signals"
import { Command } from "../parts/Empty.tsx"
import { get, Refused, wordsOf } from "../Requests.ts"
import { introduce, key, signIn, signOut } from "../Session.ts"
import type { Me } from "../Wire.ts"

/** The form. A key that the server does not know is not kept. */
export const Login = () => {
  const secret = useSignal("")
  const isKept = useSignal(false)
  const problem = useSignal(key.value === undefined ? "" : "The server does not know this key any more.")
  const isAsking = useSignal(false)
  const submit = async (event: Event) => {
    event.preventDefault()
    if (isAsking.value) return
    isAsking.value = true
    signIn(secret.value.trim(), isKept.value)
    const asked = Date.now()
    try {
      introduce(await get<Me>("api/v1/me"), asked)
    } catch (error) {
      problem.value = error instanceof Refused && error.status === 401
        ? "The server does not know this key."
        : wordsOf(error)
      signOut()
    }
    isAsking.value = false
  }
  return (
    <div class="login">
      <form class="card" onSubmit={submit}>
        <h1>Sign in</h1>
        <p class="soft">This server needs an API key.</p>
        <label class="field">
          API key
          <input
            type="password"
            name="key"
            autocomplete="current-password"
            spellcheck={false}
            required
            value={secret.value}
            onInput={(event) => {
              secret.value = event.currentTarget.value
            }}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={isKept.value}
            onChange={(event) => {
              isKept.value = event.currentTarget.checked
            }}
          />
          Keep it in this browser, also when the tab is closed
        </label>
        {problem.value !== "" && <p class="trouble" role="alert">{problem.value}</p>}
        <button type="submit" class="primary" disabled={isAsking.value || secret.value.trim() === ""}>Sign in</button>
      </form>
      <div class="hint">
        <p>
          Where the store is at hand, the command line makes a key. One with the role <b>read</b>{" "}
          can look and change nothing.
        </p>
        <Command text="taskforge keys create YOUR-NAME --role admin" />
      </div>
    </div>
  )
}
