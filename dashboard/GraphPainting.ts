/** Draws a graph on a canvas, in the colours of the theme. */
import { box, type Spot } from "./GraphLayout.ts"
import { type Graph, states } from "./Wire.ts"

/** Which part of the drawing is seen. */
export interface View {
  /** Its middle. */
  x: number
  y: number
  scale: number
}

/** Below this scale names cannot be read, and are left out. */
export const readableScale = 0.45

/** The colours of the theme, as the browser makes them. */
const colours = (element: HTMLElement) => {
  const names = ["ink", "soft", "card", "raised", "line", "strong-line", "accent", ...states] as const
  const probe = document.createElement("i")
  element.parentElement!.append(probe)
  const found = Object.fromEntries(names.map((name) => {
    probe.style.color = `var(--${name})`
    return [name, getComputedStyle(probe).color]
  }))
  probe.remove()
  return found as Readonly<Record<typeof names[number], string>>
}

/** Draws what is seen of a graph. */
export const paint = (
  element: HTMLCanvasElement,
  { edges, tasks }: Graph,
  spots: ReadonlyArray<Spot>,
  view: View,
  marked: { readonly own: number; readonly chosen: number }
): void => {
  const ratio = devicePixelRatio
  const [width, height] = [element.clientWidth, element.clientHeight]
  const [pixelsX, pixelsY] = [Math.round(width * ratio), Math.round(height * ratio)]
  if (element.width !== pixelsX || element.height !== pixelsY) {
    Object.assign(element, { width: pixelsX, height: pixelsY })
  }
  const context = element.getContext("2d")
  if (context === null || spots.length < tasks.length) return
  const colour = colours(element)
  const { scale } = view
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.clearRect(0, 0, pixelsX, pixelsY)
  context.setTransform(
    ratio * scale,
    0,
    0,
    ratio * scale,
    ratio * (width / 2 - view.x * scale),
    ratio * (height / 2 - view.y * scale)
  )
  const [left, right] = [view.x - width / 2 / scale, view.x + width / 2 / scale]
  const [top, bottom] = [view.y - height / 2 / scale, view.y + height / 2 / scale]
  const thick = 1 / Math.min(1, scale)

  for (const isMarked of [false, true]) {
    context.strokeStyle = isMarked ? colour.accent : colour["strong-line"]
    context.lineWidth = isMarked ? 2 * thick : thick
    context.globalAlpha = isMarked ? 1 : 0.6
    context.beginPath()
    for (const [from, to] of edges) {
      if ((from === marked.chosen || to === marked.chosen) !== isMarked) continue
      const [one, other] = [spots[from]!, spots[to]!]
      const [x1, y1, x2, y2] = [one.x + box.width, one.y + box.height / 2, other.x, other.y + box.height / 2]
      if (Math.max(x1, x2) < left || Math.min(x1, x2) > right || Math.max(y1, y2) < top || Math.min(y1, y2) > bottom) {
        continue
      }
      const bend = Math.max(box.gapX / 2, Math.abs(x2 - x1) / 2)
      context.moveTo(x1, y1)
      context.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2, y2)
    }
    context.stroke()
  }
  context.globalAlpha = 1
  context.textBaseline = "middle"
  tasks.forEach((task, place) => {
    const { x, y } = spots[place]!
    if (x > right || x + box.width < left || y > bottom || y + box.height < top) return
    const isOwn = place === marked.own
    const isSmall = scale < readableScale
    context.fillStyle = isSmall ? colour[task.status] : isOwn ? colour.raised : colour.card
    context.strokeStyle = place === marked.chosen || isOwn ? colour.accent : colour.line
    context.lineWidth = (isOwn ? 2 : 1) * thick
    context.beginPath()
    context.roundRect(x, y, box.width, box.height, 8)
    context.fill()
    context.stroke()
    if (isSmall) return
    context.fillStyle = colour[task.status]
    context.beginPath()
    context.roundRect(x, y, 6, box.height, [8, 0, 0, 8])
    context.fill()
    context.fillStyle = colour.ink
    context.font = `600 13px system-ui, sans-serif`
    context.fillText(fitted(task.type, 20), x + 16, y + 12, box.width - 24)
    context.fillStyle = colour.soft
    context.font = `11px ui-monospace, monospace`
    context.fillText(fitted(task.id, 22), x + 16, y + 26, box.width - 24)
  })
}

/** A name in as many characters: of a long one the end tells most. */
const fitted = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, Math.ceil(max / 3))}…${text.slice(-Math.floor(max / 2))}`
