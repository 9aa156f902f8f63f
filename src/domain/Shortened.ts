/** Texts in errors: the caller that caused the error chose how long they are. */

/** The text, or its beginning where it has more characters than that. */
export const shortened = (text: string, maxLength: number): string =>
  text.length > maxLength ? `${text.slice(0, maxLength).toWellFormed()}…` : text
