/** The tasks that are connected with one, drawn with their states: to be moved, made larger and walked through with the arrow keys. */
import { effect, useSignal } from "@preact/signals"
import { useEffect, useMemo, useRef } from "preact/hooks"
import { box, layout, type Spot } from "../GraphLayout.ts"
import { paint, readableScale, type View } from "../GraphPainting.ts"
import { get } from "../Requests.ts"
import { useResource } from "../Resource.ts"
import { go, link } from "../Router.ts"
import * as Texts from "../Texts.ts"
import { theme } from "../Theme.ts"
import type { Graph as Found } from "../Wire.ts"
import { StateMark } from "./StateMark.tsx"

/** The graph of a task; nothing where it is connected with no other. */
export const Graph = ({ id, path }: { readonly id: string; readonly path: string }) => {
  const { data } = useResource(`graph ${path}`, (ended) => get<Found>(`${path}/graph`, ended), {
    live: 5000,
    polling: 5000
  })
  const found = data.value
  return found === undefined || found.tasks.length < 2 ? null : <Drawn id={id} graph={found} />
}

const maxScale = 2
const minScale = 0.02

/** How far the pointer moves before it is no click, in pixels. */
const stillPx = 4

const Drawn = ({ graph, id }: { readonly graph: Found; readonly id: string }) => {
  const canvas = useRef<HTMLCanvasElement>(null)
  const chosen = useSignal(-1)
  const { edges, tasks } = graph
  // While tasks only change their states, they stay where they are
  const shape = `${tasks.map((task) => task.id).join(" ")} ${edges.join(" ")}`
  const spots = useMemo(() => layout(tasks.length, edges), [shape])
  const own = tasks.findIndex((task) => task.id === id)
  const view = useRef<View | undefined>(undefined)
  const latest = useRef(graph)
  latest.current = graph

  const draw = useRef(() => {})
  draw.current = () => {
    const element = canvas.current
    if (element === null) return
    view.current ??= fitting(element, spots, spots[own])
    paint(element, latest.current, spots, view.current, { own, chosen: chosen.value })
  }
  const frame = useRef(0)
  const redraw = () => {
    cancelAnimationFrame(frame.current)
    frame.current = requestAnimationFrame(() => draw.current())
  }
  useEffect(redraw, [graph])
  useEffect(() => {
    view.current = undefined
    redraw()
  }, [shape])
  useEffect(() => {
    const element = canvas.current!
    const sizes = new ResizeObserver(redraw)
    sizes.observe(element)
    const dark = matchMedia("(prefers-color-scheme: dark)")
    dark.addEventListener("change", redraw)
    const stop = effect(() => {
      void theme.value
      void chosen.value
      redraw()
    })
    // Not passive: the page does not scroll while the drawing is made larger
    const onWheel = (event: WheelEvent): void => {
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== element) return
      event.preventDefault()
      zoom(Math.exp(-event.deltaY / 400), event)
    }
    element.addEventListener("wheel", onWheel, { passive: false })
    return () => {
      cancelAnimationFrame(frame.current)
      sizes.disconnect()
      dark.removeEventListener("change", redraw)
      stop()
      element.removeEventListener("wheel", onWheel)
    }
  }, [])

  const zoom = (factor: number, at?: { readonly clientX: number; readonly clientY: number }) => {
    const element = canvas.current!
    const seen = view.current ?? fitting(element, spots, spots[own])
    const scale = Math.min(maxScale, Math.max(minScale, seen.scale * factor))
    const bounds = element.getBoundingClientRect()
    const dx = at === undefined ? 0 : at.clientX - bounds.left - bounds.width / 2
    const dy = at === undefined ? 0 : at.clientY - bounds.top - bounds.height / 2
    // What is below the pointer stays there
    view.current = {
      x: seen.x + dx / seen.scale - dx / scale,
      y: seen.y + dy / seen.scale - dy / scale,
      scale
    }
    redraw()
  }

  const showAll = () => {
    view.current = fitting(canvas.current!, spots, undefined)
    redraw()
  }

  const pointers = useRef(new Map<number, { x: number; y: number }>())
  const moved = useRef(0)
  const onPointerMove = (event: PointerEvent) => {
    const known = pointers.current.get(event.pointerId)
    const seen = view.current
    if (seen === undefined) return
    if (known === undefined) {
      const over = at(event)
      canvas.current!.style.cursor = over < 0 ? "grab" : "pointer"
      if (over >= 0) chosen.value = over
      return
    }
    const others = [...pointers.current].filter(([pointer]) => pointer !== event.pointerId)
    const before = others.length === 0 ? 0 : Math.hypot(known.x - others[0]![1].x, known.y - others[0]![1].y)
    const dx = event.clientX - known.x
    const dy = event.clientY - known.y
    moved.current += Math.abs(dx) + Math.abs(dy)
    known.x = event.clientX
    known.y = event.clientY
    if (before > 0) {
      zoom(Math.hypot(known.x - others[0]![1].x, known.y - others[0]![1].y) / before, event)
      return
    }
    seen.x -= dx / seen.scale
    seen.y -= dy / seen.scale
    redraw()
  }
  /** The task below a pointer. */
  const at = ({ clientX, clientY }: PointerEvent): number => {
    const seen = view.current
    if (seen === undefined) return -1
    const bounds = canvas.current!.getBoundingClientRect()
    const x = seen.x + (clientX - bounds.left - bounds.width / 2) / seen.scale
    const y = seen.y + (clientY - bounds.top - bounds.height / 2) / seen.scale
    return spots.findIndex((spot) => x >= spot.x && x <= spot.x + box.width && y >= spot.y && y <= spot.y + box.height)
  }
  const open = (place: number) => {
    const task = tasks[place]
    if (task !== undefined && task.id !== id) go(link(["tasks", task.id]))
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Enter") open(chosen.value)
    else if (event.key === "+" || event.key === "=") zoom(1.25)
    else if (event.key === "-") zoom(0.8)
    else if (event.key === "0") showAll()
    else if (event.key.startsWith("Arrow")) {
      const next = neighbour(spots, chosen.value < 0 ? own : chosen.value, event.key)
      chosen.value = next
      const seen = view.current
      if (seen !== undefined) {
        view.current = { ...seen, x: spots[next]!.x + box.width / 2, y: spots[next]!.y + box.height / 2 }
      }
      redraw()
    } else return
    event.preventDefault()
  }
  const shown = tasks[chosen.value]
  return (
    <section class="card wide graph">
      <div class="card-head">
        <h2>
          Graph{" "}
          <small>
            {graph.complete ? Texts.counted(tasks.length, "task") : `the ${Texts.count(tasks.length)} nearest tasks`}
          </small>
        </h2>
        <div class="graph-buttons">
          <button type="button" class="icon-button" aria-label="Smaller" title="Smaller: -" onClick={() => zoom(0.8)}>
            −
          </button>
          <button type="button" class="icon-button" aria-label="Larger" title="Larger: +" onClick={() => zoom(1.25)}>
            +
          </button>
          <button
            type="button"
            class="quiet"
            title="All of it: 0"
            onClick={showAll}
          >
            Show all
          </button>
        </div>
      </div>
      <canvas
        ref={canvas}
        tabIndex={0}
        role="application"
        aria-label={`The graph of ${
          Texts.counted(tasks.length, "task")
        }: arrow keys walk through it, Enter opens a task`}
        style={{ height: `${heightOf(spots)}px` }}
        onPointerDown={(event) => {
          canvas.current!.setPointerCapture(event.pointerId)
          pointers.current.set(event.pointerId, { x: event.clientX, y: event.clientY })
          moved.current = 0
        }}
        onPointerMove={onPointerMove}
        onPointerUp={(event) => {
          pointers.current.delete(event.pointerId)
          if (moved.current <= stillPx) open(at(event))
        }}
        onPointerCancel={(event) => pointers.current.delete(event.pointerId)}
        onKeyDown={onKeyDown}
      />
      <p class="graph-chosen" role="status">
        {shown === undefined ? <span class="soft">Point at a task, or walk with the arrow keys</span> : (
          <>
            <StateMark state={shown.status} isCancelling={false} />
            <b dir="auto">{shown.type}</b>
            <a href={link(["tasks", shown.id])}>
              <code>{shown.id}</code>
            </a>
            {shown.waits_for > 0 && <span class="soft">waits for {Texts.counted(shown.waits_for, "task")}</span>}
          </>
        )}
      </p>
    </section>
  )
}

/** How high the drawing is, in pixels. */
const heightOf = (spots: ReadonlyArray<Spot>): number => {
  const ys = spots.map(({ y }) => y)
  return Math.min(480, Math.max(140, Math.max(...ys) - Math.min(...ys) + box.height + 48))
}

/** Shows all where it can be read, else what is around one task. */
const fitting = (element: HTMLCanvasElement, spots: ReadonlyArray<Spot>, around: Spot | undefined): View => {
  const xs = spots.map(({ x }) => x)
  const ys = spots.map(({ y }) => y)
  const [left, right] = [Math.min(...xs), Math.max(...xs) + box.width]
  const [top, bottom] = [Math.min(...ys), Math.max(...ys) + box.height]
  const margin = 24
  const scale = Math.min(
    1,
    (element.clientWidth - margin) / (right - left),
    (element.clientHeight - margin) / (bottom - top)
  )
  return scale >= readableScale || around === undefined
    ? { x: (left + right) / 2, y: (top + bottom) / 2, scale: Math.max(minScale, scale) }
    : { x: around.x + box.width / 2, y: around.y + box.height / 2, scale: readableScale }
}

/** The nearest task in a direction, or the same where there is none. */
const neighbour = (spots: ReadonlyArray<Spot>, from: number, key: string): number => {
  const own = spots[from]
  if (own === undefined) return 0
  const isAcross = key === "ArrowLeft" || key === "ArrowRight"
  const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1
  let best = from
  let bestDistance = Infinity
  spots.forEach(({ x, y }, place) => {
    const along = sign * (isAcross ? x - own.x : y - own.y)
    const aside = Math.abs(isAcross ? y - own.y : x - own.x)
    if (along < 1 || (!isAcross && aside > 1)) return
    const distance = along + aside * 2
    if (distance < bestDistance) {
      best = place
      bestDistance = distance
    }
  })
  return best
}
