/** Times of a day, as hours, minutes and seconds that are combined. All are in seconds from midnight. */
export interface TimesOfDay {
  /** Ascending, never empty, as are the others. */
  readonly hours: ReadonlyArray<number>
  readonly minutes: ReadonlyArray<number>
  readonly seconds: ReadonlyArray<number>
}

/** How many there are. */
export const count = ({ hours, minutes, seconds }: TimesOfDay): number => hours.length * minutes.length * seconds.length

/** The one at a position, from 0. */
export const at = ({ hours, minutes, seconds }: TimesOfDay, position: number): number => {
  const hour = Math.floor(position / (minutes.length * seconds.length))
  const minute = Math.floor(position / seconds.length) % minutes.length
  return hours[hour]! * 3600 + minutes[minute]! * 60 + seconds[position % seconds.length]!
}

/** The first one that is not before this time. */
export const first = ({ hours, minutes, seconds }: TimesOfDay, from: number): number | undefined => {
  const [fromHour, fromMinute, fromSecond] = [Math.floor(from / 3600), Math.floor(from / 60) % 60, from % 60]
  for (const hour of hours) {
    if (hour < fromHour) continue
    if (hour > fromHour) return hour * 3600 + minutes[0]! * 60 + seconds[0]!
    for (const minute of minutes) {
      if (minute < fromMinute) continue
      if (minute > fromMinute) return hour * 3600 + minute * 60 + seconds[0]!
      const second = seconds.find((one) => one >= fromSecond)
      if (second !== undefined) return hour * 3600 + minute * 60 + second
    }
  }
  return undefined
}
