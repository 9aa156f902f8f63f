/** The pictures of the page, drawn with lines in the colour of the text around them. */

const paths = {
  overview: "M3 12h4l3-8 4 16 3-8h4",
  tasks: "M8 6h13M8 12h13M8 18h13M3.5 6h.01M3.5 12h.01M3.5 18h.01",
  errors: "M12 3l9.5 17h-19zM12 10v4M12 17h.01",
  queues: "M4 5h16v4H4zM4 15h16v4H4zM12 9v6",
  schedules: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3.5 2",
  limits: "M4 15a8 8 0 0 1 16 0M12 15l4-5M4 19h16",
  instances: "M4 4h16v6H4zM4 14h16v6H4zM7.5 7h.01M7.5 17h.01",
  operations: "M4 7l2 2 3.5-4M4 17l2 2 3.5-4M13 7h8M13 17h8",
  enqueue: "M12 5v14M5 12h14",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  light:
    "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v2M12 20v2M4.9 4.9l1.4 1.4M17.7 17.7l1.4 1.4M2 12h2M20 12h2M4.9 19.1l1.4-1.4M17.7 6.3l1.4-1.4",
  dark: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z",
  leave: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  close: "M6 6l12 12M18 6L6 18",
  next: "M9 5l7 7-7 7",
  previous: "M15 5l-7 7 7 7",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM20 20l-4-4",
  pause: "M8 5v14M16 5v14",
  play: "M7 4l13 8-13 8z",
  again: "M20 11a8 8 0 1 0-2.3 6.3M20 4v7h-7",
  alert: "M12 3l9.5 17h-19zM12 10v4M12 17h.01",
  good: "M4 12.5l5 5L20 6.5",
  keyboard: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8"
} as const

/** A picture by its name. */
export type IconName = keyof typeof paths

/** One picture; it says nothing that the text beside it does not. */
export const Icon = ({ name, size = 18 }: { readonly name: IconName; readonly size?: number }) => (
  <svg
    class="icon"
    width={size}
    height={size}
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    stroke-width="1.8"
    stroke-linecap="round"
    stroke-linejoin="round"
    aria-hidden="true"
  >
    <path d={paths[name]} />
  </svg>
)
