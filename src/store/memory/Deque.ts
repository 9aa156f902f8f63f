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
