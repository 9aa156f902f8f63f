/** The text of a module that has the files of the dashboard. */
export const moduleText: () => Promise<string>
