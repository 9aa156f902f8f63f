/** Counts and times requests by endpoint. An endpoint is a route's pattern, so that ids cannot grow the registry. */
import { type Context, Metric } from "effect"

const requests = Metric.counter("taskforge_http_requests_total", {
  description: "HTTP requests by endpoint and status",
  incremental: true
})

const duration = Metric.histogram("taskforge_http_request_duration_seconds", {
  description: "Time from a request's head to its answer, by endpoint",
  boundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})

interface OfEndpoint {
  readonly duration: Metric.Histogram<number>
  readonly requests: Map<number, Metric.Counter<number>>
}

/** Updates the metrics of one server. Plain calls, because they run for every request. */
export class RequestMetrics {
  private readonly endpoints = new Map<string, Map<string, OfEndpoint>>()
  private readonly context: Context.Context<never>

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  /** `endpoint` is a route's pattern such as `/api/v1/tasks/:id`, or none. */
  answered(method: string, endpoint: string | undefined, status: number, seconds: number): void {
    if (endpoint === undefined) this.count("any", "unmatched", status, seconds)
    else this.count(method, endpoint, status, seconds)
  }

  private count(method: string, endpoint: string, status: number, seconds: number): void {
    const metrics = this.of(method, endpoint)
    let counter = metrics.requests.get(status)
    if (counter === undefined) {
      counter = Metric.withAttributes(requests, { ...labels(method, endpoint), status: String(status) })
      metrics.requests.set(status, counter)
    }
    counter.updateUnsafe(1, this.context)
    metrics.duration.updateUnsafe(seconds, this.context)
  }

  private of(method: string, endpoint: string): OfEndpoint {
    let byMethod = this.endpoints.get(endpoint)
    if (byMethod === undefined) this.endpoints.set(endpoint, byMethod = new Map())
    let metrics = byMethod.get(method)
    if (metrics === undefined) {
      metrics = { duration: Metric.withAttributes(duration, labels(method, endpoint)), requests: new Map() }
      byMethod.set(method, metrics)
    }
    return metrics
  }
}

const labels = (method: string, endpoint: string) => ({ method, endpoint: endpoint.replace(/:(\w+)/g, "{$1}") })
