export const render = (width: number): string => `mandelbrot-${width}.png`
