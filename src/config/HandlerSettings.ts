/** The settings of the task types that ship with the server: threads, folders, outbound requests, mail, images. */
import { Schema } from "effect"
import { isEntry } from "../handlers/outbound/AddressPolicy.ts"
import { optional, setting } from "./Setting.ts"
import { duration, integer, list, word } from "./SettingSchemas.ts"

/** The settings by name. */
export const handlerSettings = {
  threads: optional({
    names: ["TASKFORGE_THREADS"],
    about: "Maximum number of threads for tasks that compute; default one per processor",
    schema: integer(1, 256)
  }),
  threadMemory: setting({
    names: ["TASKFORGE_THREAD_MEMORY"],
    fallback: "512",
    about: "Maximum memory of a thread, in MiB; a task that needs more fails alone",
    schema: integer(64, 65_536)
  }),
  folders: setting({
    names: ["TASKFORGE_FOLDERS"],
    fallback: "data/files",
    about: "Folders that tasks may read and write, separated by commas; paths in payloads are relative to the first",
    expected: "folders, separated by commas",
    schema: list(Schema.NonEmptyString)
  }),
  outboundAllow: optional({
    names: ["TASKFORGE_OUTBOUND_ALLOW"],
    about:
      "What tasks may connect to besides public addresses: addresses, ranges, hosts, *.domains, separated by commas",
    expected: "addresses, ranges such as 10.0.0.0/8, hosts or *.domains, separated by commas",
    schema: list(Schema.String.check(Schema.makeFilter(isEntry)))
  }),
  outboundTimeout: setting({
    names: ["TASKFORGE_OUTBOUND_TIMEOUT"],
    fallback: "30s",
    about: "Time limit of a task's request, redirects included",
    schema: duration("1 millis", "1 hour")
  }),
  outboundMaxSize: setting({
    names: ["TASKFORGE_OUTBOUND_MAX_SIZE"],
    fallback: "10",
    about: "Maximum size of an answer to a task's request, in MiB",
    schema: integer(1, 1024)
  }),
  outboundRedirects: setting({
    names: ["TASKFORGE_OUTBOUND_REDIRECTS"],
    fallback: "5",
    about: "Maximum number of redirects that a task's request follows",
    schema: integer(0, 20)
  }),
  webhookSecret: optional({
    names: ["TASKFORGE_WEBHOOK_SECRET"],
    secret: "value",
    about: "Secret that webhooks are signed with, as text or after whsec_ as base64",
    expected: "a text",
    schema: Schema.RedactedFromValue(Schema.String)
  }),
  smtpUrl: optional({
    names: ["TASKFORGE_SMTP_URL"],
    secret: "url",
    about:
      "Mail server: smtp://user:password@host:587, or smtps:// for TLS from the start; without one, mail goes to a folder",
    expected: "smtp://… or smtps://…",
    schema: Schema.RedactedFromValue(
      Schema.String.check(Schema.makeFilter((text: string) => /^smtps?:\/\/[^/]/.test(text) && URL.canParse(text)))
    )
  }),
  smtpTls: setting({
    names: ["TASKFORGE_SMTP_TLS"],
    fallback: "offered",
    about: "TLS for smtp://: offered means if the server offers it, required means no mail without it",
    schema: word("offered", "required")
  }),
  mailFrom: setting({
    names: ["TASKFORGE_MAIL_FROM"],
    fallback: "taskforge@localhost",
    about: "Sender of mail that has none",
    expected: "a mail address",
    schema: Schema.String.check(Schema.isPattern(/^[^\r\n]*[^\s@]+@[^\s@]+$/))
  }),
  outbox: setting({
    names: ["TASKFORGE_OUTBOX"],
    fallback: "data/outbox",
    about: "Folder for mail that is not sent",
    expected: "a folder",
    schema: Schema.NonEmptyString
  }),
  imageMaxPixels: setting({
    names: ["TASKFORGE_IMAGE_MAX_PIXELS"],
    fallback: "100000000",
    about: "Maximum number of pixels of an image, width times height, before and after",
    schema: integer(1)
  }),
  imageMaxSize: setting({
    names: ["TASKFORGE_IMAGE_MAX_SIZE"],
    fallback: "50",
    about: "Maximum size of an image file, in MiB",
    schema: integer(1, 1024)
  })
} as const
