/**
 * The files of the dashboard. This module stands for them in the sources, where there are none: the builds of the server, of
 * the command line and of the library put one in its place that has what is made of the folder `dashboard`
 * (`scripts/PageFiles.mjs`). So the page is a part of the program, and no bundler of an application loses it.
 */

/** A file of the page, in both forms in which browsers take it, each in base64. */
export interface PageFile {
  /** Where it is, relative to the page; empty for the page itself. */
  readonly path: string
  readonly contentType: string
  readonly gzip: string
  readonly br: string
}

/** All of them; none in the sources. */
export const files: ReadonlyArray<PageFile> = []
