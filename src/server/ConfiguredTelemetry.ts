/**
 * Traces, metrics and log lines over OTLP, by the standard variables of OpenTelemetry. Without an endpoint there is no exporter and no tracer, and
 * no span is made.
 */
import { Array as List, Config, ConfigProvider, Effect, Layer, Option, Random, Tracer } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { Otlp, OtlpSerialization } from "effect/observability"
import { InvalidSettings } from "../config/InvalidSettings.ts"
import * as Redaction from "../domain/Redaction.ts"

/** What counts where a variable is not set: an endpoint alone is enough. */
const fallbacks = ConfigProvider.fromUnknown({
  OTEL_SERVICE_NAME: "taskforge",
  OTEL_TRACES_EXPORTER: "otlp",
  OTEL_METRICS_EXPORTER: "otlp",
  OTEL_LOGS_EXPORTER: "otlp"
})

const protocols = {
  "http/json": OtlpSerialization.layerJson,
  "http/protobuf": OtlpSerialization.layerProtobuf
}

type Protocol = keyof typeof protocols

const parentBased = "parentbased_"

/** Which part of the traces that begin here is sampled, by the names of the samplers; `undefined` where it is a share. */
const shares = { always_on: 1, always_off: 0, traceidratio: undefined } as const

const text = (name: string): Effect.Effect<string | undefined, Config.ConfigError> =>
  Effect.map(Config.option(Config.String(name)), (found) => {
    const value = Option.getOrUndefined(found)?.trim()
    return value === "" ? undefined : value
  })

/** The variables, read and checked, as a layer: all that is wrong is told at once. */
export const layer: Layer.Layer<never, InvalidSettings | Config.ConfigError> = Layer.unwrap(
  Effect.gen(function*() {
    const endpoints = yield* Effect.forEach(
      ["", "TRACES_", "METRICS_", "LOGS_"].map((signal) => `OTEL_EXPORTER_OTLP_${signal}ENDPOINT`),
      (name) => Effect.map(text(name), (value) => [name, value] as const)
    )
    const given = endpoints.filter(([, value]) => value !== undefined)
    const isDisabled = (yield* text("OTEL_SDK_DISABLED"))?.toLowerCase() === "true"
    if (given.length === 0 || isDisabled) return Layer.empty
    const protocol = (yield* text("OTEL_EXPORTER_OTLP_PROTOCOL")) ?? "http/protobuf"
    const sampler = (yield* text("OTEL_TRACES_SAMPLER")) ?? `${parentBased}always_on`
    const argument = (yield* text("OTEL_TRACES_SAMPLER_ARG")) ?? "1"
    const share = shareOf(sampler, argument)
    const problems = [
      ...given.flatMap(([name, value]) =>
        isHttp(value!) ? [] : [`${name}=${Redaction.url(value!)}: expected a URL such as http://localhost:4318`]
      ),
      ...protocol in protocols
        ? []
        : [`OTEL_EXPORTER_OTLP_PROTOCOL=${protocol}: expected ${Object.keys(protocols).join(" or ")}`],
      ...share.problems
    ]
    if (List.isReadonlyArrayNonEmpty(problems)) return yield* new InvalidSettings({ problems })
    const provider = ConfigProvider.orElse(yield* ConfigProvider.ConfigProvider, fallbacks)
    const exporters = Otlp.layerFromConfig({ loggerMergeWithExisting: true }).pipe(
      Layer.provide([client, protocols[protocol as Protocol]]),
      Layer.provide(ConfigProvider.layer(provider))
    )
    return share.share === 1
      ? exporters
      : Layer.provide(sampled(share.share, share.isParentBased), exporters).pipe(Layer.merge(exporters))
  })
)

const isHttp = (value: string): boolean => /^https?:$/.test(URL.parse(value)?.protocol ?? "")

const shareOf = (sampler: string, argument: string) => {
  const isParentBased = sampler.startsWith(parentBased)
  const name = isParentBased ? sampler.slice(parentBased.length) : sampler
  if (!Object.hasOwn(shares, name)) {
    const names = [...Object.keys(shares), ...Object.keys(shares).map((known) => parentBased + known)]
    return { share: 1, isParentBased, problems: [`OTEL_TRACES_SAMPLER=${sampler}: expected ${names.join(", ")}`] }
  }
  const share = shares[name as keyof typeof shares] ?? Number(argument)
  return share >= 0 && share <= 1
    ? { share, isParentBased, problems: [] }
    : { share: 1, isParentBased, problems: [`OTEL_TRACES_SAMPLER_ARG=${argument}: expected a number from 0 to 1`] }
}

/** Samples a share of the traces that begin here. What is part of a trace goes by what was decided where it began. */
const sampled = (share: number, isParentBased: boolean) =>
  Layer.effect(
    Tracer.Tracer,
    Effect.gen(function*() {
      const tracer = yield* Tracer.Tracer
      const random = yield* Random.Random
      return Tracer.make({
        ...tracer,
        span: (options) =>
          Option.isSome(options.parent) && (isParentBased || options.parent.value._tag === "Span")
            ? tracer.span(options)
            : tracer.span({ ...options, sampled: options.sampled && random.nextDoubleUnsafe() < share })
      })
    })
  )

/** Warns when the collector refuses what is sent, which the exporter itself says at level debug only. */
const client = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    HttpClient.HttpClient,
    HttpClient.transformResponse((response) =>
      response.pipe(
        Effect.tap(({ request, status }) =>
          status < 400
            ? Effect.void
            : Effect.logWarning("the collector of OTEL_EXPORTER_OTLP_ENDPOINT refused telemetry", {
              url: Redaction.url(request.url),
              status
            })
        ),
        Effect.tapError((error) =>
          Effect.logWarning(
            "the collector of OTEL_EXPORTER_OTLP_ENDPOINT cannot be reached",
            Redaction.text(error.message)
          )
        )
      )
    )
  )
).pipe(Layer.provide(FetchHttpClient.layer))
