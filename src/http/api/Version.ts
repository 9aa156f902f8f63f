/** The version of this package, as health and the API's reference show it. */
export const version = "0.1.0"
