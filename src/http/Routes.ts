/** Every route of the server on one page. */
import { Layer } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Api } from "./api/Api.ts"
import * as DocsPage from "./DocsPage.ts"
import * as FirstPage from "./FirstPage.ts"
import * as MethodNotAllowed from "./MethodNotAllowed.ts"
import * as MetricsPage from "./MetricsPage.ts"
import * as OlderRoutes from "./OlderRoutes.ts"
import * as OpenApiDocument from "./OpenApiDocument.ts"
import * as QueuesHandlers from "./QueuesHandlers.ts"
import * as RequestBoundary from "./RequestBoundary.ts"
import * as RequestCheckLive from "./RequestCheckLive.ts"
import * as SystemHandlers from "./SystemHandlers.ts"
import { SystemStatus } from "./SystemStatus.ts"
import * as TasksHandlers from "./TasksHandlers.ts"

/** The API and the pages beside it. */
export const layer = Layer.mergeAll(
  HttpApiBuilder.layer(Api).pipe(
    Layer.provide([TasksHandlers.layer, QueuesHandlers.layer, SystemHandlers.layer, OlderRoutes.layer]),
    Layer.provide(RequestCheckLive.layer)
  ),
  FirstPage.layer,
  DocsPage.layer,
  OpenApiDocument.layer,
  MetricsPage.layer,
  MethodNotAllowed.layer([FirstPage.path, DocsPage.path, OpenApiDocument.path, MetricsPage.path]),
  OlderRoutes.aliases,
  RequestBoundary.layer
).pipe(Layer.provide(SystemStatus.layer))
