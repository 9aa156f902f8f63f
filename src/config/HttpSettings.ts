/** The settings of the HTTP server: where it listens, and whom it answers. */
import { Schema } from "effect"
import { optional, setting } from "./Setting.ts"
import { flag, integer, list, network, origin, rate } from "./SettingSchemas.ts"

/** The settings by name. */
export const httpSettings = {
  port: setting({
    names: ["SERVER_PORT", "PORT"],
    fallback: "8080",
    about: "Port of the HTTP server; 0 takes any free one",
    expected: "a port from 0 to 65535",
    schema: integer(0, 65535)
  }),
  host: optional({
    names: ["SERVER_HOST"],
    about:
      "Address to listen on: 0.0.0.0 with TASKFORGE_ADMIN_KEY, TASKFORGE_REQUIRE_KEYS or TASKFORGE_INSECURE, else " +
      "127.0.0.1. Any non-loopback address requires one of these, or API keys in the store",
    expected: "an address or a host name",
    schema: Schema.String.check(Schema.isPattern(/^[\w.:-]+$/))
  }),
  adminKey: optional({
    names: ["TASKFORGE_ADMIN_KEY"],
    secret: "value",
    about: "A first API key of the role admin, in addition to those in the store; with it, every caller needs a key",
    expected: "a text of 32 to 200 letters, digits, - and _",
    schema: Schema.RedactedFromValue(Schema.String.check(Schema.isPattern(/^[\w-]{32,200}$/)))
  }),
  requireKeys: setting({
    names: ["TASKFORGE_REQUIRE_KEYS"],
    fallback: "0",
    about: "Every caller needs an API key, even if the store has none",
    schema: flag
  }),
  insecure: setting({
    names: ["TASKFORGE_INSECURE"],
    fallback: "0",
    about: "Lets other machines use the server without API keys",
    schema: flag
  }),
  allowedHosts: optional({
    names: ["TASKFORGE_ALLOWED_HOSTS"],
    about:
      "Names of the server, separated by commas: without API keys it answers only to these, to localhost, to the " +
      "machine's own name and to addresses",
    expected: "host names such as tasks.example.com, separated by commas",
    schema: list(Schema.String.check(Schema.isPattern(/^[\w.-]+$/)))
  }),
  ratePerAddress: optional({
    names: ["TASKFORGE_RATE_PER_ADDRESS"],
    about: "Requests from one address, such as 100/1s; unlimited by default",
    schema: rate
  }),
  ratePerKey: optional({
    names: ["TASKFORGE_RATE_PER_KEY"],
    about: "Requests with one API key, such as 1000/1s; unlimited by default",
    schema: rate
  }),
  allowedOrigins: optional({
    names: ["TASKFORGE_ALLOWED_ORIGINS"],
    about: "Origins whose pages may call the API from a browser, separated by commas",
    expected: "origins such as https://app.example.com, separated by commas",
    schema: list(origin)
  }),
  trustedProxies: optional({
    names: ["TASKFORGE_TRUSTED_PROXIES"],
    about: "Proxies whose X-Forwarded-For is trusted: addresses and networks, separated by commas",
    expected: "addresses or networks such as 10.0.0.0/8, separated by commas",
    schema: list(network)
  }),
  maxConnections: setting({
    names: ["TASKFORGE_MAX_CONNECTIONS"],
    fallback: "10000",
    about: "Maximum number of open connections, event streams included",
    schema: integer(1)
  }),
  dashboard: setting({
    names: ["TASKFORGE_DASHBOARD"],
    fallback: "1",
    about: "The dashboard at /; with 0 there is a plain page",
    schema: flag
  }),
  traceUrl: optional({
    names: ["TASKFORGE_TRACE_URL"],
    about: "Where traces are shown, with {trace_id} in place of the id: the dashboard has links to it",
    expected: "an address such as https://traces.example.org/trace/{trace_id}",
    schema: Schema.String.check(Schema.isPattern(/^https?:\/\/\S*\{trace_id\}\S*$/), Schema.isMaxLength(1000))
  }),
  requestLog: setting({
    names: ["TASKFORGE_REQUEST_LOG"],
    fallback: "1",
    about: "A line in the log for each request, at level info",
    schema: flag
  })
} as const
