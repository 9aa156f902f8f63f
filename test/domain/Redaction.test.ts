import { assert, describe, it } from "@effect/vitest"
import * as Redaction from "../../src/domain/Redaction.ts"

const secret = "hunter2"

describe("a URL that people read", () => {
  it.each([
    ["https://example.org/a/b", "https://example.org/a/b"],
    ["https://example.org", "https://example.org"],
    ["http://localhost:8080/", "http://localhost:8080/"],
    ["https://example.org/@user/post", "https://example.org/@user/post"],
    ["redis://host:6379/0", "redis://host:6379/0"],
    ["postgres://host/db", "postgres://host/db"],
    ["https://example.org/a?token=1", "https://example.org/a?***"],
    ["postgres://me:pw@host:5432/db?sslmode=on", "postgres://***@host:5432/db?***"],
    ["rediss://:pw@host:6379", "rediss://***@host:6379"]
  ])("%s is shown as %s", (url, shown) => {
    assert.strictEqual(Redaction.url(url), shown)
    assert.strictEqual(Redaction.text(`it is ${url}, and no more.`), `it is ${shown}, and no more.`)
  })

  it.each([
    `postgres://me:${secret}@host/db`,
    `postgres://${secret}@host/db`,
    `postgres://me:a/${secret}@host/db`,
    `postgres://me:12/${secret}@host/db`,
    `postgres://me:a?${secret}@host/db`,
    `postgres://me:a#${secret}@host/db`,
    `postgres://me:a@${secret}@host/db`,
    `postgres://me:${secret}%zz@host/db`,
    `postgres://me:${secret}@host:port/db`,
    `postgres://me:${secret}@/db`,
    `postgres://me:${secret}@host/db?password=${secret}`,
    `postgres://host/db?password=${secret}`,
    `postgres://host/db?user=me&password=${secret}&ssl`,
    `POSTGRES://me:${secret}@host/db`,
    `redis://:${secret}@host`,
    `redis://default:${secret}@[::1]:6379/0`,
    `postgres:me:${secret}@host/db`,
    `me:${secret}@host/db`,
    `host=h user=me password=${secret} dbname=db`,
    `smtp://me%40example.org:${secret}@mail.example.org:587`,
    `https://example.org/hook#${secret}`,
    `postgres://me:it's${secret}@host/db`,
    `postgres://me:<|>\`${secret}@host/db`,
    `https://me:a\\${secret}@host/db`,
    `https://example.org:80/${secret}@x`
  ])("%s does not show its secret", (url) => {
    assert.notInclude(Redaction.url(url), secret)
    if (url.includes("://")) assert.notInclude(Redaction.text(`It is '${url}', and no more`), secret)
  })
})

describe("a long text", () => {
  it("is looked through once, whatever it is made of", () => {
    const many = 400_000
    for (const part of ["a", ".", ".a", "a.", ")]", "a+"]) {
      const long = part.repeat(many / part.length)
      assert.include(Redaction.text(`${long} x://h/?k=${secret} ${long}`), "x://h/?***")
      assert.notInclude(Redaction.text(`x://${long}@h?${secret}`), secret)
    }
  })
})

describe("a payload that people read", () => {
  it("does not show headers that carry a secret", () => {
    const payload = {
      url: "https://example.org",
      headers: { Authorization: secret, "x-api-key": secret, COOKIE: [secret], accept: "text/plain" },
      list: [{ authorization: { scheme: "Basic", value: secret } }],
      cookies: "are fine"
    }
    assert.deepStrictEqual(Redaction.json(payload), {
      url: "https://example.org",
      headers: { Authorization: "***", "x-api-key": "***", COOKIE: "***", accept: "text/plain" },
      list: [{ authorization: "***" }],
      cookies: "are fine"
    })
  })

  it("does not show headers whose names end like one that carries a secret", () => {
    const names = ["Private-Token", "x-vault-token", "api-key", "apikey", "X-RapidAPI-Key", "dd-api-key", "x_secret"]
    const headers = Object.fromEntries(names.map((name) => [name, secret]))
    const harmless = { "idempotency-key": "1", "x-ratelimit-remaining-tokens": "2", etag: "3", accept: "a/b" }
    assert.deepStrictEqual(Redaction.json({ headers: { ...headers, ...harmless }, token: "own" }), {
      headers: { ...Object.fromEntries(names.map((name) => [name, "***"])), ...harmless },
      token: "own"
    })
  })

  it("does not show users, passwords and secrets in URLs, and keeps what is the person's own", () => {
    const shownAs = {
      "https://me:hunter2@example.org/a?page=2#b": "https://***@example.org/a?page=2#b",
      "https://hunter2@example.org": "https://***@example.org",
      "https://example.org/?access_token=hunter2&page=2": "https://example.org/?access_token=***&page=2",
      "https://example.org/#a=1&api_key=hunter2": "https://example.org/#a=1&api_key=***",
      "https://b.example.org/f?sv=1&sig=hunter2": "https://b.example.org/f?sv=1&sig=***",
      "postgres://me:a/hunter2@host/db": "postgres://***@host/db",
      "copy 'https://me:it's-hunter2@example.org/ü' there.": "copy 'https://***@example.org/ü' there.",
      "HTTP://Example.org/ü?to=ada@example.org": "HTTP://Example.org/ü?to=ada@example.org",
      "s3://folder/key@2": "s3://folder/key@2",
      "ada@example.org, token=a": "ada@example.org, token=a"
    }
    for (const [text, shown] of Object.entries(shownAs)) {
      assert.deepStrictEqual(Redaction.json({ a: [text] }), { a: [shown] })
      assert.strictEqual(Redaction.json(text), shown)
    }
  })

  it("is as it was where there are none", () => {
    for (const json of ["null", "1", "\"authorization\"", "{\"authorized\":true}", "[{\"a\":{\"b\":[]}}]"]) {
      const payload = JSON.parse(json)
      assert.strictEqual(Redaction.json(payload), payload)
      assert.deepStrictEqual(payload, JSON.parse(json))
    }
  })

  it("keeps a name that objects have of their own", () => {
    const payload = JSON.parse(`{"__proto__": {"authorization": "${secret}"}, "n": 1}`)
    assert.strictEqual(JSON.stringify(Redaction.json(payload)), `{"__proto__":{"authorization":"***"},"n":1}`)
    assert.include(JSON.stringify(payload), secret)
  })
})
