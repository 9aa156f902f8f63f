/** The settings of the task types that ship with the server: threads, folders, outbound requests, mail, images. */
import { Schema } from "effect"
import { isEntry } from "../outbound/AddressPolicy.ts"
import { optional, setting } from "./Setting.ts"
import { duration, integer, list, word } from "./SettingSchemas.ts"

/** The settings by name. */
export const handlerSettings = {
  threads: optional({
    names: ["TASKFORGE_THREADS"],
    about: "Threads for tasks that compute, started when needed: as many as there are processors",
    expected: "a whole number from 1 to 256",
    schema: integer(1, 256)
  }),
  threadMemory: setting({
    names: ["TASKFORGE_THREAD_MEMORY"],
    fallback: "512",
    about: "Memory of one thread at most, in MiB; a task that needs more fails alone",
    expected: "a whole number from 64 to 65536",
    schema: integer(64, 65_536)
  }),
  folders: setting({
    names: ["TASKFORGE_FOLDERS"],
    fallback: "data/files",
    about: "Folders that tasks may read and write, with commas between; paths in payloads start at the first",
    expected: "folders, with commas between",
    schema: list(Schema.NonEmptyString)
  }),
  outboundAllow: optional({
    names: ["TASKFORGE_OUTBOUND_ALLOW"],
    about:
      "What tasks may connect to beside the public Internet: addresses, ranges, hosts, *.domains, with commas between",
    expected: "addresses, ranges such as 10.0.0.0/8, hosts or *.domains, with commas between",
    schema: list(Schema.String.check(Schema.makeFilter(isEntry)))
  }),
  outboundTimeout: setting({
    names: ["TASKFORGE_OUTBOUND_TIMEOUT"],
    fallback: "30s",
    about: "Time limit of one request of a task, with its redirects",
    expected: "a duration from 1ms to 1h",
    schema: duration("1 millis", "1 hour")
  }),
  outboundMaxSize: setting({
    names: ["TASKFORGE_OUTBOUND_MAX_SIZE"],
    fallback: "10",
    about: "Size of an answer to a task's request at most, in MiB",
    expected: "a whole number from 1 to 1024",
    schema: integer(1, 1024)
  }),
  outboundRedirects: setting({
    names: ["TASKFORGE_OUTBOUND_REDIRECTS"],
    fallback: "5",
    about: "Redirects that a task's request follows at most",
    expected: "a whole number from 0 to 20",
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
      "Mail server: smtp://user:password@host:587, or smtps:// for TLS from the start; without, mail goes to a folder",
    expected: "smtp://… or smtps://…",
    schema: Schema.RedactedFromValue(
      Schema.String.check(Schema.makeFilter((text: string) => /^smtps?:\/\/[^/]/.test(text) && URL.canParse(text)))
    )
  }),
  smtpTls: setting({
    names: ["TASKFORGE_SMTP_TLS"],
    fallback: "offered",
    about: "Whether smtp:// turns to TLS where that is offered, or sends nothing without: required",
    expected: "offered or required",
    schema: word("offered", "required")
  }),
  mailFrom: setting({
    names: ["TASKFORGE_MAIL_FROM"],
    fallback: "taskforge@localhost",
    about: "Sender of mail that names none",
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
    about: "Pixels of an image at most, width times height; of the new one as well",
    expected: "a whole number of at least 1",
    schema: integer(1)
  }),
  imageMaxSize: setting({
    names: ["TASKFORGE_IMAGE_MAX_SIZE"],
    fallback: "50",
    about: "Size of an image file at most, in MiB",
    expected: "a whole number from 1 to 1024",
    schema: integer(1, 1024)
  })
} as const
