/** The driver that the page about drivers tests: a copy of the one in the package. */
export * from "../../../examples/PlainStore.ts"
