/** A place in the order of work. */
export interface Place {
  readonly rank: number
  readonly seq: number
}

/** Whether a place comes before another. */
export const byRank = (a: Place, b: Place): boolean => a.rank < b.rank || (a.rank === b.rank && a.seq < b.seq)

/** Something filed under a place that none of its tasks is before; void once it has another. */
export interface Filed<A> {
  readonly of: A
  rank: number
  seq: number
}

/** What can be filed, and how it is. */
export interface Fileable<A> {
  filed: Filed<A> | undefined
}

/** Things in the order of their first tasks, at a cost that grows with the logarithm of their number. */
export class Order<A extends Fileable<A>> {
  private readonly heap = new Heap<Filed<A>>(byRank)
  private size = 0

  /** Files it before a task, unless it is already. */
  before(of: A, task: Place): void {
    const { filed } = of
    if (filed !== undefined && !byRank(task, filed)) return
    if (filed === undefined) this.size++
    this.file(of, task)
  }

  /** To be called when it has no more tasks. */
  remove(of: A): void {
    if (of.filed !== undefined) this.size--
    of.filed = undefined
  }

  first(): Filed<A> | undefined {
    let first = this.heap.first()
    while (first !== undefined && first.of.filed !== first) {
      this.heap.shift()
      first = this.heap.first()
    }
    return first
  }

  /** A place that none but the first one is before. */
  second(): Place | undefined {
    return this.heap.second()
  }

  /** Files the first one where it really is. */
  moveFirst(first: Filed<A>, { rank, seq }: Place): void {
    first.rank = rank
    first.seq = seq
    this.heap.sinkFirst()
  }

  /** Files one of them under a later place. */
  move(filed: Filed<A>, place: Place): void {
    if (this.heap.first() === filed) this.moveFirst(filed, place)
    else this.file(filed.of, place)
  }

  /** Leaves the first one out until it is put back. */
  setAside(): Filed<A> {
    return this.heap.shift()!
  }

  putBack(aside: ReadonlyArray<Filed<A>>): void {
    for (const filed of aside) this.heap.push(filed)
  }

  private file(of: A, { rank, seq }: Place): void {
    of.filed = { of, rank, seq }
    this.heap.push(of.filed)
    // what was filed before is void and lies deeper: it is given up lazily, but not for ever
    if (this.heap.size > 64 && this.heap.size > 2 * this.size) this.heap.filter((kept) => kept.of.filed === kept)
  }
}

/** A binary heap: the smallest item first. */
export class Heap<A> {
  private items: Array<A> = []
  private readonly before: (a: A, b: A) => boolean

  constructor(before: (a: A, b: A) => boolean) {
    this.before = before
  }

  get size(): number {
    return this.items.length
  }

  first(): A | undefined {
    return this.items[0]
  }

  /** An item that none but the first one is before. */
  second(): A | undefined {
    const left = this.items[1]
    const right = this.items[2]
    return right === undefined || !this.before(right, left!) ? left : right
  }

  /** To be called when the first item has become greater. */
  sinkFirst(): void {
    if (this.items.length > 1) this.sink(this.items[0]!)
  }

  push(item: A): void {
    const items = this.items
    let index = items.length
    items.push(item)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.before(item, items[parent]!)) break
      items[index] = items[parent]!
      index = parent
    }
    items[index] = item
  }

  shift(): A | undefined {
    const items = this.items
    const top = items[0]
    const last = items.pop()
    if (last !== undefined && items.length > 0) this.sink(last)
    return top
  }

  /** Keeps only what passes. */
  filter(keep: (item: A) => boolean): void {
    const kept = this.items.filter(keep)
    this.items = []
    for (const item of kept) this.push(item)
  }

  private sink(item: A): void {
    const items = this.items
    let index = 0
    while (true) {
      let child = index * 2 + 1
      if (child >= items.length) break
      if (child + 1 < items.length && this.before(items[child + 1]!, items[child]!)) child++
      if (!this.before(items[child]!, item)) break
      items[index] = items[child]!
      index = child
    }
    items[index] = item
  }
}

/** A first-in, first-out list with constant cost at both ends, however long it is. */
export class Deque<A> {
  private items: Array<A | undefined> = []
  private head = 0

  get size(): number {
    return this.items.length - this.head
  }

  push(item: A): void {
    this.items.push(item)
  }

  first(): A | undefined {
    return this.items[this.head]
  }

  last(): A | undefined {
    return this.size === 0 ? undefined : this.items[this.items.length - 1]
  }

  shift(): A | undefined {
    if (this.size === 0) return undefined
    const item = this.items[this.head]
    this.items[this.head] = undefined
    this.head++
    // Copying half after half has been taken keeps the amortized cost constant.
    if (this.head > 1024 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head)
      this.head = 0
    }
    return item
  }
}

/** How many of the first items are before something: items in an order, of which those that are before it come first, `low` at least. */
export const countBefore = <A>(items: ReadonlyArray<A>, isBefore: (item: A) => boolean, low = 0): number => {
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBefore(items[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}

/** The earlier of two times, where there are any. */
export const earlier = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.min(a, b)
