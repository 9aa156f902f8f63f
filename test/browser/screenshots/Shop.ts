/** An online shop that uses most of what there is to see, for the screenshots of the pages: a server, or an instance that only runs tasks. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Logger, Random, Schedule, Schema } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { createServer } from "node:http"
import * as Batch from "../../../src/Batch.ts"
import * as Breaker from "../../../src/Breaker.ts"
import * as Engine from "../../../src/engine/Engine.ts"
import { TaskCatalog, TaskRoutes } from "../../../src/http/server.ts"
import { Schedules } from "../../../src/schedule/Schedules.ts"
import * as Step from "../../../src/Step.ts"
import * as SqliteStore from "../../../src/store/sqlite/SqliteStore.ts"
import * as Task from "../../../src/Task.ts"
import { TaskContext } from "../../../src/worker/TaskContext.ts"

class CardDeclined extends Schema.TaggedError<CardDeclined>()("CardDeclined", { message: Schema.String }) {}
class MailFailed extends Schema.TaggedError<MailFailed>()("MailFailed", { message: Schema.String }) {}
class CarrierDown extends Schema.TaggedError<CarrierDown>()("CarrierDown", { message: Schema.String }) {}

const Carrier = Breaker.make("carrier", {
  failures: 5,
  within: "1 minute",
  openFor: "5 minutes",
  maxOpenFor: "10 minutes"
})

const SendMail = Task.make("email", {
  description: "Sends a message from a template to a customer.",
  queue: "mail",
  payload: {
    to: Schema.String.annotate({ description: "Where it goes" }),
    template: Schema.Literals(["welcome", "receipt", "shipped", "reminder"]).annotate({
      description: "Which text it is"
    }),
    language: Schema.optionalKey(Schema.Literals(["en", "de", "fr"])).annotate({
      description: "The customer's language, when left out"
    }),
    attach: Schema.optionalKey(Schema.Array(Schema.String)).annotate({ description: "Files that go with it" })
  },
  success: Schema.Struct({ messageId: Schema.String }),
  error: MailFailed,
  retry: { times: 4, schedule: Schedule.spaced("8 seconds") },
  limits: ({ rate }) => [rate({ name: "smtp", max: 600, per: "1 minute" })]
})
const ResizeImage = Task.make("resize-image", {
  description: "Makes the sizes of a product's picture that the shop shows.",
  payload: { image: Schema.String, widths: Schema.Array(Schema.Int) },
  success: Schema.Struct({ files: Schema.Array(Schema.String) })
})
const ChargeCard = Task.make("charge-card", {
  description: "Charges the card of an order, once.",
  queue: "payments",
  priority: "high",
  payload: { order: Schema.String, cents: Schema.Int, currency: Schema.String },
  error: CardDeclined,
  retry: { times: 1, schedule: Schedule.spaced("5 seconds") }
})
const FulfilOrder = Task.make("fulfil-order", {
  description: "Reserves what was ordered, prints the label and hands it over.",
  payload: { order: Schema.String, items: Schema.Int }
})
const SyncStock = Task.make("sync-stock", {
  description: "Brings the stock of a warehouse up to date.",
  queue: "sync",
  payload: { warehouse: Schema.String },
  limits: ({ concurrency }) => [concurrency({ key: ({ warehouse }) => warehouse, max: 2 })]
})
const TrackParcel = Task.make("track-parcel", {
  description: "Asks the carrier where a parcel is.",
  queue: "sync",
  payload: { parcel: Schema.String },
  error: CarrierDown,
  retry: { times: 3 },
  breakers: [Carrier]
})
const WeeklyReport = Task.make("weekly-report", {
  description: "Adds up the sales of a week.",
  payload: { week: Schema.String },
  success: Schema.Struct({ orders: Schema.Int, cents: Schema.Int })
})
const definitions = [SendMail, ResizeImage, ChargeCard, FulfilOrder, SyncStock, TrackParcel, WeeklyReport]

/** Takes about so long, in milliseconds. */
const work = (around: number) =>
  Effect.flatMap(Random.nextBetween(around * 0.4, around * 1.8), (ms) => Effect.sleep(Math.round(ms)))

const handlers = Layer.mergeAll(
  SendMail.toLayer(({ template, to }) =>
    Effect.gen(function*() {
      yield* work(300)
      if (to.endsWith(".invalid") || (yield* Random.next) < 0.03) {
        const mx = yield* Random.nextIntBetween(1, 4)
        return yield* new MailFailed({ message: `mx${mx}.example.com answered 451: try again later` })
      }
      yield* Effect.logInfo("sent", { template, to })
      return { messageId: `<${yield* Random.nextIntBetween(100_000, 999_999)}@shop.example>` }
    })
  ),
  ResizeImage.toLayer(({ image, widths }) =>
    Effect.gen(function*() {
      const { progress } = yield* TaskContext
      for (const [index] of widths.entries()) {
        yield* work(350)
        yield* progress((index + 1) / widths.length)
      }
      return { files: widths.map((width) => `${image}-${width}.webp`) }
    })
  ),
  ChargeCard.toLayer(({ cents, order }) =>
    Effect.gen(function*() {
      yield* work(400)
      if (cents > 90_000) {
        return yield* new CardDeclined({ message: `The bank declined ${cents} cents for ${order}` })
      }
    })
  ),
  FulfilOrder.toLayer(({ items, order }) =>
    Effect.gen(function*() {
      yield* Effect.logInfo("reserving", { order, items })
      yield* Step.run("reserve", work(500))
      yield* Step.run("print the label", work(700))
      yield* Effect.logWarning("the printer is low on paper", { printer: "dock-2" })
      if (items > 90) yield* Effect.sleep("20 minutes")
      yield* Step.run("hand over", work(300))
      yield* Effect.logInfo("handed over", { carrier: "dhl" })
    })
  ),
  SyncStock.toLayer(() => work(9000)),
  TrackParcel.toLayer(({ parcel }) =>
    Effect.andThen(
      work(100),
      parcel.startsWith("X")
        ? Effect.fail(new CarrierDown({ message: `api.carrier.example: connect ECONNREFUSED 203.0.113.7:443` }))
        : Effect.void
    )
  ),
  WeeklyReport.toLayer(() => Effect.as(work(1200), { orders: 1834, cents: 9_120_455 })),
  Batch.layer
)

const pick = <A>(all: ReadonlyArray<A>) =>
  Effect.map(Random.nextIntBetween(0, all.length - 1), (index) => all[Math.min(index, all.length - 1)]!)

const names = ["ada", "grace", "linus", "barbara", "ken", "margaret", "dennis", "frances"]

/** An order, and all that it brings with it. */
const order = Effect.gen(function*() {
  const number = yield* Random.nextIntBetween(10_000, 99_999)
  const who = yield* pick(names)
  const id = `order-${number}`
  const charge = ChargeCard.draft({ order: id, cents: yield* Random.nextIntBetween(900, 95_000), currency: "EUR" })
  const fulfil = FulfilOrder.draft({ order: id, items: yield* Random.nextIntBetween(1, 9) }, { after: [charge] })
  const receipt = SendMail.draft({ to: `${who}@example.com`, template: "receipt", language: "en" }, { after: [charge] })
  const shipped = SendMail.draft({ to: `${who}@example.com`, template: "shipped" }, { after: [fulfil] })
  yield* Task.enqueueAll([charge, fulfil, receipt, shipped])
})

const morning = Effect.gen(function*() {
  yield* Schedules.set(
    "nightly-stock",
    SyncStock.schedule({ cron: "30 2 * * *", timeZone: "Europe/Berlin" }, { warehouse: "berlin" }, { overlap: "skip" })
  )
  yield* Schedules.set(
    "weekly-report",
    WeeklyReport.schedule({ cron: "0 7 * * mon", timeZone: "Europe/Berlin" }, { week: "this" })
  )
  yield* Schedules.set(
    "heartbeat-mail",
    SendMail.schedule({ every: "20 seconds" }, { to: "ops@example.com", template: "reminder" })
  )
  yield* Schedules.set("parcels", TrackParcel.schedule({ every: "5 minutes" }, { parcel: "A1" }))
  yield* Schedules.pause("parcels", { by: "ada", reason: "The carrier moves to a new API on Monday" })
  yield* Batch.enqueue(
    Array.from({ length: 24 }, (_, index) => ResizeImage.draft({ image: `lamp-${index}`, widths: [320, 640, 1280] })),
    { name: "catalogue of lamps", onSuccess: WeeklyReport.draft({ week: "2026-W05" }) }
  )
  yield* SendMail.enqueue({ to: "nobody@example.invalid", template: "welcome" }, { id: "welcome-nobody" })
  const charge = ChargeCard.draft({ order: "order-20417", cents: 4990, currency: "EUR" }, { id: "charge-20417" })
  const fulfil = FulfilOrder.draft({ order: "order-20417", items: 96 }, { id: "fulfil-20417", after: [charge] })
  const receipt = SendMail.draft({ to: "grace@example.com", template: "receipt" }, { after: [charge] })
  const shipped = SendMail.draft({ to: "grace@example.com", template: "shipped" }, { after: [fulfil] })
  yield* Task.enqueueAll([charge, fulfil, receipt, shipped])
  yield* ChargeCard.enqueue({ order: "order-20399", cents: 94_000, currency: "EUR" }, { id: "charge-20399" })
  for (let index = 0; index < 8; index++) yield* TrackParcel.enqueue({ parcel: `X${index}` })
  for (let index = 0; index < 9; index++) yield* SyncStock.enqueue({ warehouse: index % 3 === 0 ? "paris" : "berlin" })
  yield* SendMail.enqueue({ to: "ada@example.com", template: "reminder" }, { id: "reminder-ada", delay: "3 hours" })
  yield* Effect.repeat(order, { times: 12 })
})

const day = Layer.effectDiscard(
  Effect.gen(function*() {
    yield* morning
    yield* order.pipe(Effect.repeat(Schedule.spaced("1500 millis")), Effect.forkScoped)
  })
)

const announce = Layer.effectDiscard(
  HttpServer.addressFormattedWith((url) => Console.log(JSON.stringify({ level: "info", msg: "listens", url })))
)

const instance = process.argv[2] ?? "web-1"

const engine = Engine.layer(handlers, { instance, worker: { concurrency: instance === "web-1" ? 6 : 12 } })

const serverLive = HttpRouter.serve(TaskRoutes.layer({ path: "/" }), { disableLogger: true, disableListenLog: true })
  .pipe(
    Layer.merge(announce),
    Layer.merge(day),
    Layer.provide(TaskCatalog.layer(definitions)),
    Layer.provide(engine),
    Layer.provide(NodeHttpServer.layer(createServer, { port: 0, host: "127.0.0.1" }))
  )

const ShopLive = instance === "web-1" ? serverLive : engine

NodeRuntime.runMain(
  Layer.launch(ShopLive.pipe(Layer.provide(SqliteStore.layer({ path: "shop.db" })), Layer.provide(Logger.layer([]))))
)
