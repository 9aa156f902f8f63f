import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Redacted } from "effect"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as FileName from "../../src/handlers/files/FileName.ts"
import type { Options } from "../../src/handlers/mail/Mail.ts"
import { Mailer } from "../../src/handlers/mail/Mailer.ts"
import * as SmtpSite from "./SmtpSite.ts"
import { failureOf, isRefused, outcomeOf, resultOf, withHandlers } from "./TestHandlers.ts"

const from = "shop@example.org"

/** The engine, sending to a server that the test starts. */
const sendingTo = (site: SmtpSite.SmtpSite, { user = "", ...options }: Options & { readonly user?: string } = {}) =>
  withHandlers({ mail: { server: Redacted.make(`smtp://${user}127.0.0.1:${site.port}`), from, ...options } })

const message = { to: "ada@example.org", subject: "Grüße", text: "hello" }

describe("email", () => {
  it.live("reaches a server, with everything that was asked for", () =>
    Effect.gen(function*() {
      const site = yield* SmtpSite.start()
      yield* Effect.gen(function*() {
        const result = yield* resultOf("email", {
          to: ["Ada <ada@example.org>", "bob@example.org"],
          cc: "cc@example.org",
          bcc: "secret@example.org",
          subject: "Grüße",
          body: "hello",
          html: "<b>hello</b>",
          attachments: [{ filename: "a.txt", content: Buffer.from("attached").toString("base64"), type: "text/plain" }]
        })
        assert.strictEqual(result["delivery"], "smtp")
        const everybody = ["ada@example.org", "bob@example.org", "cc@example.org", "secret@example.org"]
        assert.deepStrictEqual(result["accepted"], everybody)
        const [mail] = site.taken
        assert.strictEqual(mail!.from, from)
        assert.deepStrictEqual(mail!.to, everybody)
        assert.match(mail!.text, /^Subject: =\?UTF-8\?Q\?Gr=C3=BC=C3=9Fe\?=/m)
        assert.include(mail!.text, `Message-ID: ${String(result["message_id"])}`)
        assert.include(mail!.text, "<b>hello</b>")
        assert.include(mail!.text, Buffer.from("attached").toString("base64"))
        assert.notInclude(mail!.text, "secret@example.org")
        // Two tasks share a connection
        assert.deepInclude(yield* resultOf("email", { recipient: "eve@example.org" }), {
          accepted: ["eve@example.org"]
        })
        assert.strictEqual(site.connections(), 1)
      }).pipe(sendingTo(site))
    }))

  it.live("is not tried again when the server refuses it for good, but when it is busy", () =>
    Effect.gen(function*() {
      let busy = 1
      const site = yield* SmtpSite.start({
        refuse: (address) =>
          address.startsWith("nobody") ? 550 : address.startsWith("busy") && busy-- > 0 ? 451 : undefined
      })
      yield* Effect.gen(function*() {
        const { failure } = yield* outcomeOf("email", { ...message, to: "nobody@example.org" })
        assert.strictEqual(failure?.tag, "MailRejected")
        assert.match(failure?.message ?? "", /550/)
        const partly = yield* resultOf("email", { ...message, to: ["ada@example.org", "nobody@example.org"] })
        assert.deepInclude(partly, { accepted: ["ada@example.org"], rejected: ["nobody@example.org"] })
        const later = yield* outcomeOf("email", { ...message, to: "busy@example.org" })
        assert.strictEqual(later.state, "completed")
      }).pipe(sendingTo(site))
    }))

  it.live("logs in, turns to TLS where it must, and says when it cannot", () =>
    Effect.gen(function*() {
      const site = yield* SmtpSite.start({
        hideSTARTTLS: true,
        onAuth: ({ password, username }, _session, callback) =>
          password === "s3cret" ? callback(null, { user: username! }) : callback(new Error("wrong"))
      })
      yield* Effect.gen(function*() {
        yield* resultOf("email", message)
        assert.strictEqual(site.taken[0]!.user, "shop@x")
      }).pipe(sendingTo(site, { user: "shop%40x:s3cret@" }))
      const failure = yield* failureOf("email", message).pipe(sendingTo(site, { user: "shop:wrong@" }))
      assert.strictEqual(failure.tag, "MailFailed")
      const insecure = yield* failureOf("email", message).pipe(sendingTo(site, { requireTls: true }))
      assert.strictEqual(insecure.tag, "MailFailed")
      assert.strictEqual(site.taken.length, 1)
    }))

  it.live("goes encrypted where the server's certificate is trusted, and else not at all", () =>
    Effect.gen(function*() {
      const [key, cert] = ["key.pem", "certificate.pem"].map((name) =>
        readFileSync(new URL(`./smtp/${name}`, import.meta.url))
      )
      const site = yield* SmtpSite.start({ key, cert, hideSTARTTLS: false })
      yield* resultOf("email", message).pipe(sendingTo(site, { requireTls: true, trust: [cert!.toString()] }))
      assert.isTrue(site.taken[0]!.secure)
      const failure = yield* failureOf("email", message).pipe(sendingTo(site))
      assert.match(failure.message, /self-signed certificate/)
      const always = yield* SmtpSite.start({ key, cert, secure: true })
      const server = Redacted.make(`smtps://127.0.0.1:${always.port}`)
      yield* resultOf("email", message).pipe(withHandlers({ mail: { server, from, trust: [cert!.toString()] } }))
      assert.isTrue(always.taken[0]!.secure)
      assert.strictEqual(site.taken.length, 1)
    }))

  it.live("is tried again when nobody answers", () =>
    Effect.gen(function*() {
      const site = yield* Effect.scoped(SmtpSite.start())
      const failure = yield* failureOf("email", message).pipe(sendingTo(site))
      assert.strictEqual(failure.tag, "MailFailed")
      assert.match(failure.message, /ECONNREFUSED/)
    }))

  it.live("goes to the outbox where there is no server, and says so", () =>
    Effect.gen(function*() {
      const result = yield* resultOf("email", message)
      assert.deepInclude(result, { delivery: "outbox", accepted: [] })
      const mail = readFileSync(String(result["file"]), "utf8")
      assert.match(mail, /^To: ada@example\.org\r?$/m)
      assert.match(mail, /^Date: /m)
      assert.match(mail, /\r\n\r\nhello/)
    }).pipe(withHandlers()))

  it.live("leaves nothing of a killed attempt in the outbox", () =>
    Effect.gen(function*() {
      const outbox = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "taskforge-outbox-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      )
      writeFileSync(join(outbox, `.taskforge-${FileName.digest("t")}-1-${FileName.digest("t.eml")}.part`), "half")
      const mail = { id: "t", claim: 2, attempt: 2, to: [], cc: [], bcc: [], subject: "s", text: "t", attachments: [] }
      yield* Effect.provide(Mailer.use(({ send }) => send(mail)), Mailer.layer({ outbox }))
      assert.deepStrictEqual(readdirSync(outbox), ["t.eml"])
    }))

  it.live("has a file and a Message-ID that no other task's message has, whatever the ids are", () =>
    Effect.gen(function*() {
      const ids = ["a:b", "a-b", "A-b", "a..b", "a.b", "a b", "ü".repeat(120), `${"ü".repeat(119)}u`, "x".repeat(250)]
      const sent: Array<Record<string, unknown>> = []
      for (const id of ids) {
        const { failure, result } = yield* outcomeOf("email", { ...message, text: id }, { id, maxRetries: 0 })
        assert.isNull(failure, `${id}: ${failure?.message}`)
        sent.push(Option.getOrThrow(result) as Record<string, unknown>)
      }
      // Also where a file system takes no notice of the case
      for (const field of ["file", "message_id"]) {
        assert.strictEqual(new Set(sent.map((one) => String(one[field]).toLowerCase())).size, ids.length, field)
      }
      assert.strictEqual(sent[1]!["message_id"], "<a-b@taskforge>")
      for (const { file } of sent) assert.isTrue(existsSync(String(file)))
    }).pipe(withHandlers()))

  it.live("without recipients goes nowhere, also where there is a server", () =>
    Effect.gen(function*() {
      const site = yield* SmtpSite.start()
      const result = yield* resultOf("email", {}).pipe(
        Effect.tap(({ file }) => Effect.sync(() => assert.isTrue(existsSync(String(file))))),
        sendingTo(site)
      )
      assert.strictEqual(result["delivery"], "outbox")
      assert.strictEqual(site.taken.length, 0)
    }))

  it.live("takes addresses, and no lines between them", () =>
    Effect.gen(function*() {
      for (const to of ["ada", "a@b\r\nBcc: c@d", "<a@b", "a b@c", "a@b, c@d", ["a"], 7]) {
        yield* isRefused("email", { to })
      }
      yield* isRefused("email", { attachments: [{ filename: "a", path: "/etc/passwd" }] })
      const { file } = yield* resultOf("email", { ...message, subject: "Hi\r\nBcc: eve@example.org" })
      assert.notMatch(readFileSync(String(file), "utf8"), /^Bcc:/m)
    }).pipe(withHandlers()))
})
