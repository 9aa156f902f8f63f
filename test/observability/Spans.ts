/** A tracer that keeps its spans. */
import { Tracer } from "effect"

export class Spans {
  readonly all: Array<Tracer.NativeSpan> = []

  readonly tracer: Tracer.Tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      this.all.push(span)
      return span
    }
  })

  /** Those that have ended, by name. */
  named(name: string): ReadonlyArray<Tracer.NativeSpan> {
    return this.all.filter((span) => span.name === name && span.status._tag === "Ended")
  }

  /** The one that has a name. */
  one(name: string): Tracer.NativeSpan {
    const found = this.named(name)
    if (found.length !== 1) throw new Error(`${found.length} spans are called ${name}: ${this.names.join(", ")}`)
    return found[0]!
  }

  get names(): ReadonlyArray<string> {
    return this.all.map(({ name }) => name)
  }
}

/** The id of the span that one is part of. */
export const parentOf = (span: Tracer.Span): string | undefined =>
  span.parent._tag === "Some" ? span.parent.value.spanId : undefined

/** The ids of the spans that one is linked to. */
export const linksOf = (span: Tracer.Span): ReadonlyArray<string> => span.links.map(({ span }) => span.spanId)
