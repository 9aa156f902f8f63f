/** Whatever value a setting has, its text reads as that value; whatever text it is given, it is read or refused. */
import { describe, it } from "@effect/vitest"
import { Duration, Equal, Exit, Schema } from "effect"
import * as Settings from "../../src/config/SettingSchemas.ts"
import * as StoreUrl from "../../src/config/StoreUrl.ts"

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const comesBack = <A>(schema: Schema.ConstraintCodec<A, string>, value: A): boolean => {
  const text = Schema.encodeExit(schema)(value)
  return Exit.isSuccess(text) && Equal.equals(Schema.decodeExit(schema)(text.value), Exit.succeed(value))
}

describe("the text of a setting comes back as its value:", () => {
  it.prop("whole numbers", [int(-1, 1_000_000)], ([value]) => comesBack(Settings.integer(-1, 1_000_000), value))

  it.prop(
    "durations",
    [int(1, 86_400_000)],
    ([millis]) => comesBack(Settings.duration("1 millis", "1 day"), Duration.millis(millis))
  )

  it.prop("flags", [Schema.Boolean], ([value]) => comesBack(Settings.flag, value))

  it.prop(
    "words",
    [Schema.Literals(["full", "normal"])],
    ([value]) => comesBack(Settings.word("full", "normal"), value)
  )

  it.prop("rates", [int(1, 999_999_999), int(1000, 86_400_000)], ([limit, window]) => {
    const value = Schema.decodeExit(Settings.rate)(`${limit}/${window}ms`)
    return Exit.isSuccess(value) && value.value.limit === limit && Duration.toMillis(value.value.window) === window
  })

  it.prop(
    "lists",
    [Schema.Array(int(0, 100)).check(Schema.isMinLength(1))],
    ([values]) => comesBack(Settings.list(Settings.integer(0, 100)), values)
  )
})

describe("any text is read or refused, and never throws:", () => {
  it.prop("numbers within bounds", [Schema.String], ([text]) => {
    const value = Schema.decodeExit(Settings.integer(0, 10))(text)
    return Exit.isFailure(value) || (value.value >= 0 && value.value <= 10)
  })

  it.prop("rates", [Schema.String], ([text]) => {
    const value = Schema.decodeExit(Settings.rate)(text)
    return Exit.isFailure(value) || value.value.limit >= 1
  })

  it.prop("networks", [Schema.String], ([text]) => {
    const value = Schema.decodeExit(Settings.network)(text)
    return Exit.isFailure(value) || comesBack(Settings.network, value.value)
  })

  it.prop("stores", [Schema.String], ([text]) => {
    const store = StoreUrl.parse(text)
    return store === undefined || typeof StoreUrl.format(store) === "string"
  })
})
