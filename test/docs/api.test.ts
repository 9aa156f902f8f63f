import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { document, examplesOf, render } from "./ApiPage.ts"

const { components, paths } = document()
const operations = Object.entries(paths).flatMap(([path, byMethod]) =>
  Object.entries(byMethod).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const)
)

describe("the page about the API", () => {
  it("is what `npm run docs:api` writes", () => {
    const page = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8")
    assert.strictEqual(page, render())
  })
})

describe("the reference", () => {
  it.each(operations)("shows what is sent to and answered by %s, errors included", (_, operation) => {
    const request = operation.requestBody?.content["application/json"]
    if (request !== undefined) assert.isNotEmpty(examplesOf(request))
    for (const [status, { content }] of Object.entries(operation.responses)) {
      const json = content?.["application/json"]
      if (json !== undefined) assert.isNotEmpty(examplesOf(json), status)
    }
    for (const status of ["400", "500"]) assert.property(operation.responses, status)
    assert.isNotEmpty(operation.summary)
  })

  it("names the fields that its examples have", () => {
    for (const [name, schema] of Object.entries(components.schemas)) {
      const { examples = [], properties } = schema as typeof schema & { readonly examples?: ReadonlyArray<object> }
      if (properties === undefined) continue
      for (const example of examples) {
        assert.isEmpty(Object.keys(example).filter((field) => !(field in properties)), name)
        const missing = (schema.required ?? []).filter((field) => !(field in example))
        assert.isEmpty(missing, name)
      }
    }
  })
})
