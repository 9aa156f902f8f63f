/**
 * Several buckets in one record: their names are written once, and all of it is compressed. How long the tasks of a queue and type waited
 * and ran is written once too, and is that of the last bucket in which anything happened to them: a chunk is a bucket of the next level,
 * which so has it exactly. A chunk that no record could hold has fewer names: those to which least has happened become one.
 */
import { Option, Schema } from "effect"
import { deflateRawSync, inflateRawSync } from "node:zlib"
import * as Fingerprint from "../domain/Fingerprint.ts"
import { FailureKind } from "../domain/TaskRecord.ts"
import { maxErrors, other, others } from "../observability/ErrorTally.ts"
import { addAll, type LogHistogram } from "../observability/LogHistogram.ts"
import { counted, type SlotTally } from "../observability/Tally.ts"
import { maxDocumentBytes } from "../store/RecordDriver.ts"
import * as Bucket from "./Bucket.ts"
import * as ErrorGroups from "./ErrorGroups.ts"

/** Buckets by their start, in milliseconds since the epoch. */
export type Chunk = ReadonlyMap<number, Bucket.Bucket>

const Numbers = Schema.Array(Schema.Finite)

/** A queue and type by its number: what is {@link counted}, and its depth. */
const LaneText = Schema.Tuple([Schema.Int, Numbers, Numbers])

/** A queue and type by its number: how long its tasks waited and ran. */
const SpreadText = Schema.Tuple([Schema.Int, Numbers, Numbers])

/** An instance by its number: what was looked at, all slots, those that were busy, and the share of each slot as a digit. */
const SlotsText = Schema.Tuple([Schema.Int, Schema.Finite, Schema.Finite, Schema.Finite, Schema.String])

/** What failures have in common, the first and the last time, and the latest task. */
const ErrorText = Schema.Tuple([
  Schema.String,
  FailureKind,
  Schema.String,
  Schema.String,
  Schema.Finite,
  Schema.Finite,
  Schema.String
])

/** Failures by the number of what they have in common: for good, and followed by another attempt. */
const ErrorCounts = Schema.Tuple([Schema.Int, Schema.Finite, Schema.Finite])

const BucketText = Schema.Struct({
  at: Schema.Finite,
  depth: Numbers,
  samples: Schema.Finite,
  ends: Numbers,
  wait: Numbers,
  run: Numbers,
  lanes: Schema.Array(LaneText),
  slots: Schema.Array(SlotsText),
  errors: Schema.optionalKey(Schema.Array(ErrorCounts))
})

const ChunkText = Schema.fromJsonString(Schema.Struct({
  names: Schema.Array(Schema.Tuple([Schema.String, Schema.String])),
  instances: Schema.Array(Schema.String),
  buckets: Schema.Array(BucketText),
  spreads: Schema.Array(SpreadText),
  errors: Schema.optionalKey(Schema.Array(ErrorText))
}))

const Document = Schema.fromJsonString(Schema.Struct({ version: Schema.Literal(1), deflated: Schema.String }))

const decodeDocument = Schema.decodeUnknownOption(Document)
const decodeText = Schema.decodeUnknownOption(ChunkText)

/** Bytes of a chunk's JSON at most: what was written is far below. */
const maxTextBytes = 16 * 1024 * 1024

/** The document of a record. */
export const encode = (chunk: Chunk): string => {
  const count = (name: "lanes" | "errors") =>
    new Set([...chunk.values()].flatMap((bucket) => [...bucket[name].keys()])).size
  const lanes = count("lanes")
  const errors = count("errors")
  for (let max = Math.max(lanes, Math.min(errors, maxErrors));; max >>= 1) {
    const document = documentOf(lanes <= max && errors <= Math.min(max, maxErrors) ? chunk : narrowed(chunk, max))
    if (Buffer.byteLength(document) <= maxDocumentBytes || max === 0) return document
  }
}

/** The chunk of a document; nothing of one that a later version has written. */
export const decode = (document: string): Chunk =>
  Option.getOrElse(Option.flatMap(decodeDocument(document), ({ deflated }) => inflated(deflated)), () => new Map())

const inflated = (deflated: string): Option.Option<Chunk> =>
  Option.map(
    Option.flatMap(
      Option.liftThrowable(() => inflateRawSync(Buffer.from(deflated, "base64"), { maxOutputLength: maxTextBytes }))(),
      (text) => decodeText(text.toString("utf8"))
    ),
    chunkOf
  )

const documentOf = (chunk: Chunk): string => {
  const names = new Map<string, readonly [queue: string, type: string]>()
  const places = new Map<string, number>()
  const instances = new Map<string, number>()
  const placeIn = (known: Map<string, number>, name: string): number => {
    const place = known.get(name) ?? known.size
    known.set(name, place)
    return place
  }
  const errorPlaces = new Map<string, number>()
  const errorTotals: ErrorGroups.ErrorGroups = new Map()
  const spreads = new Map<string, { readonly wait: LogHistogram; readonly run: LogHistogram }>()
  const buckets = [...chunk].map((
    [at, { cancelled, crashed, depth, errors, instances: slots, laneSamples, lanes, run, wait }]
  ) => ({
    at,
    depth: [depth.samples, depth.scheduled, depth.pending, depth.running],
    samples: laneSamples,
    ends: [cancelled, crashed],
    wait: flat(wait),
    run: flat(run),
    lanes: [...lanes].map(([name, lane]) => {
      names.set(name, [lane.queue, lane.type])
      const spread = spreads.get(name) ?? { wait: new Map(), run: new Map() }
      spreads.set(name, spread)
      addAll(spread.wait, lane.wait)
      addAll(spread.run, lane.run)
      return [
        placeIn(places, name),
        counted.map((what) => lane[what]),
        [lane.scheduled, lane.pending, lane.running, Math.round(lane.oldestMs)]
      ]
    }),
    slots: [...slots].map(([instance, { busyMs, bySlot, forMs, slotMs }]) => [
      placeIn(instances, instance),
      Math.round(forMs),
      Math.round(slotMs),
      Math.round(busyMs),
      bySlot.map((ms) => digitOf(forMs === 0 ? 0 : ms / forMs)).join("")
    ]),
    ...errors.size > 0 && {
      errors: [...errors].map(([name, error]) => {
        ErrorGroups.add(errorTotals, error)
        return [placeIn(errorPlaces, name), error.failed, error.retried]
      })
    }
  }))
  const text = JSON.stringify({
    names: [...places.keys()].map((name) => names.get(name)!),
    instances: [...instances.keys()],
    buckets,
    spreads: [...spreads].map(([name, { run, wait }]) => [places.get(name)!, flat(wait), flat(run)]),
    ...errorPlaces.size > 0 && {
      errors: [...errorPlaces.keys()].map((name) => {
        const { firstMs, kind, lastMs, latest, message, tag, type } = errorTotals.get(name)!
        return [type, kind, tag, message, firstMs, lastMs, latest]
      })
    }
  })
  return JSON.stringify({ version: 1, deflated: deflateRawSync(text).toString("base64") })
}

const chunkOf = ({ buckets, errors: errorNames = [], instances, names, spreads }: typeof ChunkText.Type): Chunk => {
  const last = new Map<number, Bucket.Lane>()
  const chunk = new Map(buckets.map(({ at, depth, ends, errors = [], lanes, run, samples, slots, wait }) => {
    const bucket = Bucket.empty()
    const [depthSamples = 0, scheduled = 0, pending = 0, running = 0] = depth
    Object.assign(bucket.depth, { samples: depthSamples, scheduled, pending, running })
    bucket.laneSamples = samples
    bucket.cancelled = ends[0] ?? 0
    bucket.crashed = ends[1] ?? 0
    fill(bucket.wait, wait)
    fill(bucket.run, run)
    for (const [place, counts, [scheduled = 0, pending = 0, running = 0, oldestMs = 0]] of lanes) {
      const [queue, type] = names[place] ?? [other, other]
      const lane = Bucket.laneOf(bucket, queue, type)
      counted.forEach((what, index) => lane[what] += counts[index] ?? 0)
      Object.assign(lane, { scheduled, pending, running, oldestMs })
      if (counts.some((count) => count > 0) || !last.has(place)) last.set(place, lane)
    }
    for (const [place, forMs, slotMs, busyMs, digits] of slots) {
      const bySlot = Array.from(digits, (digit) => shareOf(digit) * forMs)
      bucket.instances.set(instances[place] ?? other, { forMs, slotMs, busyMs, bySlot } satisfies SlotTally)
    }
    for (const [place, failed, retried] of errors) {
      const [type, kind, tag, message, firstMs, lastMs, latest] = errorNames[place] ?? nameless
      ErrorGroups.add(bucket.errors, { type, kind, tag, message, failed, retried, firstMs, lastMs, latest })
    }
    return [at, bucket]
  }))
  for (const [place, wait, run] of spreads) {
    const lane = last.get(place)
    if (lane === undefined) continue
    fill(lane.wait, wait)
    fill(lane.run, run)
  }
  return chunk
}

const nameless = [others.type, others.kind, others.tag, others.message, 0, 0, ""] as const

/** The buckets and counts of a histogram, one behind the other. */
const flat = (histogram: LogHistogram): ReadonlyArray<number> => [...histogram].sort(([a], [b]) => a - b).flat()

const fill = (histogram: LogHistogram, flat: ReadonlyArray<number>): void => {
  for (let index = 0; index + 1 < flat.length; index += 2) {
    histogram.set(flat[index]!, (histogram.get(flat[index]!) ?? 0) + flat[index + 1]!)
  }
}

/** The most that a digit says. */
const maxDigit = 35

/** A share from 0 to 1 as one character. What is not zero is seen. */
const digitOf = (share: number): string => Math.min(maxDigit, Math.ceil(share * maxDigit)).toString(36)

const shareOf = (digit: string): number => parseInt(digit, 36) / maxDigit

/** The same chunk, in which so many queues and types, and so many failures, have names. */
const narrowed = (chunk: Chunk, maxNames: number): Chunk => {
  const sum = Bucket.empty()
  for (const bucket of chunk.values()) Bucket.addTime(sum, bucket)
  const named = new Set(Bucket.byActivity(sum).slice(0, maxNames).map(({ queue, type }) => `${queue}\u0000${type}`))
  const failures = new Set(ErrorGroups.byCount(sum.errors).slice(0, maxNames).map(Fingerprint.nameOf))
  return new Map([...chunk].map(([at, bucket]) => {
    const narrow: Bucket.Bucket = { ...bucket, lanes: new Map(), errors: ErrorGroups.narrowed(bucket.errors, failures) }
    for (const [name, lane] of bucket.lanes) {
      const [queue, type] = named.has(name) ? [lane.queue, lane.type] : [other, other]
      Bucket.addLane(Bucket.laneOf(narrow, queue, type), lane)
    }
    return [at, narrow]
  }))
}
