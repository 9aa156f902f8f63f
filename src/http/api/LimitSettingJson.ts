/** What a limit is, on the wire. */
import { Duration, Schema } from "effect"
import type { LimitSetting } from "../../queue/LimitViews.ts"

/** What a limit is. */
export const LimitSettingJson = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("concurrency"), max: Schema.Int }),
  Schema.Struct({
    kind: Schema.Literal("rate"),
    max: Schema.Finite.annotate({ description: "Tokens that a key gets in per_ms, evenly" }),
    per_ms: Schema.Finite,
    burst: Schema.Finite.annotate({ description: "Tokens that a key holds at most" })
  }),
  Schema.Struct({ kind: Schema.Literal("order"), on_failure: Schema.Literals(["block", "continue"]) }),
  Schema.Struct({ kind: Schema.Literal("fair"), weight: Schema.Int }),
  Schema.Struct({ kind: Schema.Literal("lifted") })
]).annotate({ identifier: "LimitSetting" })

type LimitSettingJson = typeof LimitSettingJson.Type

/** To the wire. */
export const settingJson = (setting: LimitSetting): LimitSettingJson => {
  switch (setting.kind) {
    case "rate":
      return { kind: "rate", max: setting.max, per_ms: Duration.toMillis(setting.per), burst: setting.burst }
    case "order":
      return { kind: "order", on_failure: setting.onFailure }
    default:
      return setting
  }
}

/** From the wire. */
export const settingFromJson = (setting: LimitSettingJson): LimitSetting => {
  switch (setting.kind) {
    case "rate":
      return { kind: "rate", max: setting.max, per: Duration.millis(setting.per_ms), burst: setting.burst }
    case "order":
      return { kind: "order", onFailure: setting.on_failure }
    default:
      return setting
  }
}
