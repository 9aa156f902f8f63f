export { ResizeImageLive as HandlersLive } from "./ResizeImage.ts"
