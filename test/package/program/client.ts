import { HttpApiClient } from "effect/http-api"
import { Api, HttpTaskQueue } from "taskforge/http"

export const client = HttpApiClient.make(Api, { baseUrl: "http://localhost:8080" })

export const Remote = HttpTaskQueue.layer({ url: "http://localhost:8080" })
