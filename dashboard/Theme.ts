/** Dark, light, or as the system has it. */
import { effect, signal } from "@preact/signals"

/** What was chosen. */
export type Theme = "system" | "light" | "dark"

const place = "taskforge.theme"
const themes: ReadonlyArray<Theme> = ["system", "light", "dark"]

const kept = (): Theme => {
  try {
    return themes.find((theme) => theme === localStorage.getItem(place)) ?? "system"
  } catch {
    return "system"
  }
}

/** The chosen theme. */
export const theme = signal<Theme>(kept())

/** The next of the three. */
export const turn = (): void => {
  theme.value = themes[(themes.indexOf(theme.value) + 1) % themes.length]!
  try {
    localStorage.setItem(place, theme.value)
  } catch {
    // It holds until the page is left
  }
}

effect(() => {
  document.documentElement.dataset["theme"] = theme.value
})
