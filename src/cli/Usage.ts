/** What is wrong with a command line, as one complaint: the first mistake, as those after it mostly follow from it. */
import type { CliError } from "effect/cli"
import { nearest } from "../domain/Nearest.ts"
import { Failure } from "./Failure.ts"

/** Where the mistake was made. */
interface Invocation {
  readonly errors: ReadonlyArray<CliError.CliError>
  readonly commandPath: ReadonlyArray<string>
  readonly helpDoc: { readonly usage: string }
}

/** Flags that belong to commands and are often written before them. */
const ofCommands = ["--server", "-s", "--store", "--api-key", "--json"]

/** The failure of a command line that cannot be understood. */
export const failure = ({ commandPath, errors, helpDoc }: Invocation): Failure => {
  const [error] = errors
  const name = commandPath.join(" ")
  const problem = error === undefined ? "The command line cannot be understood" : worded(error)
  const flag = error?._tag === "UnrecognizedOption" ? error.option : undefined
  const advice = flag !== undefined && commandPath.length === 1 && ofCommands.includes(flag)
    ? `${flag} comes after the command: ${name} list ${flag} …`
    : `${helpDoc.usage}\nRead more with: ${name} --help`
  return new Failure({ exit: "usage", problem, advice })
}

const worded = (error: CliError.CliError): string => {
  const [message = "", ...rest] = error.message.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  const [heading, ...suggestions] = rest
  if (heading?.startsWith("Did you mean") === true && suggestions.length > 0) {
    return `${message.replace(/ in command .*$/, "")}; did you mean ${suggestions.join(" or ")}?`
  }
  return [message, ...rest].join(" ")
    .replace("Expected: Schema validation failed: Expected", "Expected")
    .replace(/^(Invalid value for \S+ \S+ "([^"]*)"\..*?)(?:, got "\2")$/, "$1")
    .replace("a string representing a finite number", "a number")
    .replace(/^Invalid value for flag (\S+): "([^"]*)"\. Expected: ((?:"[^"]+" \| )+"[^"]+")$/, choice)
}

/** A value that is none of some words. */
const choice = (_: string, flag: string, found: string, choices: string): string => {
  const words = choices.split(" | ").map((word) => word.slice(1, -1))
  const meant = nearest(found, words)
  return `${flag} ${found}: expected ${words.join(", ")}${meant === undefined ? "" : `; did you mean ${meant}?`}`
}
