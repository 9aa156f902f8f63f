/**
 * Where the tasks of a graph are drawn: in columns, each to the right of all that it depends on, and in rows such that edges cross seldom.
 * Takes some milliseconds for a thousand.
 */

/** A place, in units of the drawing. */
export interface Spot {
  readonly x: number
  readonly y: number
}

/** The size of a task, and the room around it. */
export const box = { width: 168, height: 36, gapX: 56, gapY: 12 }

/** Rows of a column at most: what has more goes on in a column next to it. */
const maxRows = 40

/** How often rows are put in order by their neighbours. */
const sweeps = 4

/** The place of each task. An edge leads from what is depended on. Circles, which only a race can make, are drawn somehow. */
export const layout = (count: number, edges: ReadonlyArray<readonly [number, number]>): ReadonlyArray<Spot> => {
  const before: Array<Array<number>> = Array.from({ length: count }, () => [])
  const after: Array<Array<number>> = Array.from({ length: count }, () => [])
  for (const [from, to] of edges) {
    if (from === to || after[from] === undefined || before[to] === undefined) continue
    after[from].push(to)
    before[to].push(from)
  }
  const level = levelsOf(before, after)
  const columns: Array<Array<number>> = []
  for (let node = 0; node < count; node++) (columns[level[node]!] ??= []).push(node)
  const row = new Float64Array(count)
  for (const column of columns) column.forEach((node, index) => row[node] = index - column.length / 2)
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const order = sweep % 2 === 0 ? columns : columns.toReversed()
    const neighbours = sweep % 2 === 0 ? before : after
    for (const column of order) sort(column, neighbours, row)
  }
  const spots: Array<Spot> = Array.from({ length: count })
  let x = 0
  for (const column of columns) {
    const parts = Math.ceil(column.length / maxRows)
    const rows = Math.ceil(column.length / parts)
    column.forEach((node, index) => {
      const part = Math.floor(index / rows)
      const length = Math.min(rows, column.length - part * rows)
      spots[node] = {
        x: x + part * (box.width + box.gapX / 2),
        y: (index % rows - (length - 1) / 2) * (box.height + box.gapY)
      }
    })
    x += (parts - 1) * (box.width + box.gapX / 2) + box.width + box.gapX
  }
  return spots
}

/** Puts a column in order by the middle of the neighbours of each. */
const sort = (column: Array<number>, neighbours: ReadonlyArray<ReadonlyArray<number>>, row: Float64Array): void => {
  const middle = (node: number): number => {
    const own = neighbours[node]!
    return own.length === 0 ? row[node]! : own.reduce((sum, other) => sum + row[other]!, 0) / own.length
  }
  const ranked = column.map((node) => [middle(node), node] as const).sort(([a], [b]) => a - b)
  ranked.forEach(([, node], index) => {
    column[index] = node
    row[node] = index - ranked.length / 2
  })
}

/** The longest way to each from those that depend on none. */
const levelsOf = (
  before: ReadonlyArray<ReadonlyArray<number>>,
  after: ReadonlyArray<ReadonlyArray<number>>
): ReadonlyArray<number> => {
  const open = before.map(({ length }) => length)
  const level = before.map(() => 0)
  const ready = open.flatMap((length, node) => length === 0 ? [node] : [])
  for (const node of ready) {
    for (const next of after[node]!) {
      level[next] = Math.max(level[next]!, level[node]! + 1)
      if (--open[next]! === 0) ready.push(next)
    }
  }
  return level
}
