/**
 * How values are spread, in buckets whose width grows with the value: each is 19 % wider than the one before. So a quantile is off by
 * 9 % at most, two histograms are added bucket by bucket, and one has 128 buckets at most, whatever is put in.
 */

/** The number of values in each bucket that has any. */
export type LogHistogram = Map<number, number>

/** Buckets from one value to its double. */
const perOctave = 4

/** The last bucket: from 43 days on, where values are milliseconds. */
const maxIndex = 127

/** The bucket of a value that is not negative; the first one is for all below 1. */
const indexOf = (value: number): number =>
  value < 1 ? 0 : Math.min(maxIndex, 1 + Math.floor(Math.log2(value) * perOctave))

/** Adds a value. */
export const add = (histogram: LogHistogram, value: number): void => {
  const index = indexOf(value)
  histogram.set(index, (histogram.get(index) ?? 0) + 1)
}

/** Adds all values of another one. */
export const addAll = (histogram: LogHistogram, other: LogHistogram): void => {
  for (const [index, count] of other) histogram.set(index, (histogram.get(index) ?? 0) + count)
}

/** The values below which these shares of all are, each from 0 to 1; `null` where there is no value. */
export const quantiles = (
  histogram: LogHistogram,
  shares: ReadonlyArray<number>
): ReadonlyArray<number | null> => {
  const buckets = [...histogram].sort(([a], [b]) => a - b)
  const total = buckets.reduce((sum, [, count]) => sum + count, 0)
  return shares.map((share) => {
    if (total === 0) return null
    let rank = Math.max(1, Math.ceil(share * total))
    const found = buckets.find(([, count]) => (rank -= count) <= 0)
    return middleOf(found![0])
  })
}

/** The middle of a bucket, by ratio. */
const middleOf = (index: number): number => index === 0 ? 0.5 : 2 ** ((index - 0.5) / perOctave)
