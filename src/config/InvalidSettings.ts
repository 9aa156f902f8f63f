import { Runtime, Schema } from "effect"

/** `EX_CONFIG` of sysexits.h: the process ended because of its configuration. */
const configurationExitCode = 78

/** The configuration cannot be used. It names every bad variable at once, with what was found and what is expected. */
export class InvalidSettings extends Schema.TaggedError<InvalidSettings>()("InvalidSettings", {
  problems: Schema.NonEmptyArray(Schema.String)
}) {
  override readonly [Runtime.errorExitCode] = configurationExitCode

  override get message(): string {
    return `The configuration has ${this.problems.length === 1 ? "a problem" : `${this.problems.length} problems`}:\n` +
      this.problems.map((problem) => `  - ${problem}`).join("\n")
  }
}
