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
