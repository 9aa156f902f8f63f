/** Days of the Gregorian calendar, without a zone: times are in milliseconds as `Date.UTC` counts them. */

/** Milliseconds of a day in which no clock is set. */
export const dayMillis = 86_400_000

/** A day. */
export interface CalendarDate {
  readonly year: number
  /** From 1. */
  readonly month: number
  readonly day: number
}

/** Days of 400 years, after which the calendar repeats. */
const daysOfEra = 146_097

/** The day of a time. Years are counted from March, so that a leap day is the last of its year. */
export const dateOf = (time: number): CalendarDate => {
  const days = Math.floor(time / dayMillis) + 719_468
  const era = Math.floor(days / daysOfEra)
  const ofEra = days - era * daysOfEra
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365
  )
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const fromMarch = Math.floor((5 * ofYear + 2) / 153)
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9
  return {
    year: era * 400 + yearOfEra + (month <= 2 ? 1 : 0),
    month,
    day: ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1
  }
}

/** The year of a time. */
export const yearOf = (time: number): number => dateOf(time).year

/** How many days a month has. */
export const daysIn = (year: number, month: number): number =>
  month === 2
    ? year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
    : month === 4 || month === 6 || month === 9 || month === 11
    ? 30
    : 31

/** The day of the week of a time, Sunday being 0. */
export const weekDayOf = (time: number): number => ((Math.floor(time / dayMillis) + 4) % 7 + 7) % 7
