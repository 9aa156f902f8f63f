import { assert, describe, it } from "@effect/vitest"
import { maxRetryAfterMillis, read } from "../../../src/handlers/outbound/RetryAfter.ts"

/** Sunday, 6 November 1994, 08:49:07 in UTC: half a minute before the dates below. */
const now = Date.UTC(1994, 10, 6, 8, 49, 7)

const expecting = (expected: number | null, headers: ReadonlyArray<string | undefined>, at = now) => {
  for (const header of headers) assert.strictEqual(read(header, at), expected, JSON.stringify(header))
}

describe("Retry-After", () => {
  it("is a number of seconds", () => {
    expecting(0, ["0", "000", "0.0"])
    expecting(120_000, ["120", " 120 ", "0120"])
  })

  it("is rounded up to whole seconds where it has decimals, which Date.parse takes for dates", () => {
    assert.isNotNaN(Date.parse("32.5"))
    assert.isNotNaN(Date.parse("1.5"))
    expecting(33_000, ["32.5", "33", "32.000001"])
    expecting(2000, ["1.5"])
    expecting(1000, ["0.1"])
  })

  it("is a date in any form of HTTP", () => {
    expecting(30_000, [
      "Sun, 06 Nov 1994 08:49:37 GMT",
      "Sunday, 06-Nov-94 08:49:37 GMT",
      "Sun Nov  6 08:49:37 1994"
    ])
    expecting(86_400_000 - 7000 - 49 * 60_000 - 8 * 3_600_000, ["Mon Nov 07 00:00:00 1994"])
    expecting(0, ["Sun, 06 Nov 1994 08:49:06 GMT", "Fri, 31 Dec 1993 23:59:59 GMT"])
  })

  it("has years of two digits within 50 years from now", () => {
    const at = Date.UTC(2099, 11, 31, 23, 59, 50)
    expecting(9000, ["Thursday, 31-Dec-99 23:59:59 GMT"], at)
    expecting(11_000, ["Friday, 01-Jan-00 00:00:01 GMT"], at)
    expecting(0, ["Friday, 31-Dec-50 23:59:59 GMT"], at)
    expecting(0, ["Friday, 31-Dec-45 23:59:59 GMT"])
    expecting(maxRetryAfterMillis, ["Friday, 31-Dec-95 23:59:59 GMT", "Friday, 31-Dec-44 23:59:59 GMT"])
  })

  it("asks for one day at most", () => {
    expecting(maxRetryAfterMillis, [
      "86400",
      "86401",
      "9".repeat(400),
      "99999999999999999999.5",
      "Fri, 31 Dec 9999 23:59:59 GMT"
    ])
  })

  it("is ignored where it is anything else", () => {
    expecting(null, [
      undefined,
      "",
      " ",
      "soon",
      "-1",
      "+1",
      "1e3",
      "0x10",
      ".5",
      "5.",
      "1,5",
      "5, 10",
      "5 s",
      "Infinity",
      "NaN",
      "٣",
      "1994-11-06",
      "1994-11-06T08:49:37Z",
      "11/06/1994",
      "Nov 6 1994",
      "06 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37",
      "Sun, 06 Nov 1994 08:49:37 UTC",
      "Sun, 06 Nov 1994 08:49:37 +0100",
      "Sun, 6 Nov 1994 08:49:37 GMT",
      "sun, 06 nov 1994 08:49:37 gmt",
      "Sun, 06 Nov 94 08:49:37 GMT",
      "Sun, 06-Nov-94 08:49:37 GMT",
      "Sun Nov 6 08:49:37 1994",
      "Wed, 31 Feb 2030 08:49:37 GMT",
      "Wed, 00 Mar 2030 08:49:37 GMT",
      "Wed, 06 Nvo 2030 08:49:37 GMT",
      "Wed, 06 Nov 2030 24:00:00 GMT",
      "Wed, 06 Nov 2030 08:60:00 GMT"
    ])
    // Ignored, although it can be read as JavaScript's dates
    assert.isNotNaN(Date.parse("1994-11-06T08:49:37Z"))
  })
})
