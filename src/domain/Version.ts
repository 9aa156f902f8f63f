/** The version of this package, as health, the registry of instances and the API reference show it. */
export const version = "0.1.0"
