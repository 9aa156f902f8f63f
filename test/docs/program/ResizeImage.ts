import { Effect, Schema } from "effect"
import { Task } from "taskforge"

export const ResizeImage = Task.make("resize", {
  payload: { image: Schema.String, width: Schema.Int },
  success: Schema.Struct({ file: Schema.String })
})

export const ResizeImageLive = ResizeImage.toLayer(({ image, width }) => Effect.succeed({ file: `${width}-${image}` }))
