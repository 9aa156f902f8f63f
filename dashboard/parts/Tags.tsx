/** The tags of a task, each a way to the tasks that have it. */
import { exact } from "../Requests.ts"
import { link } from "../Router.ts"

/** Some tags, and how many there are besides. */
export const Tags = ({ more = 0, of: tags }: { readonly of: ReadonlyArray<string>; readonly more?: number }) => (
  <span class="tags">
    {tags.map((tag) => (
      <a
        key={tag}
        class="mark tag"
        dir="auto"
        href={link(["tasks"], { tag: exact(tag) })}
        title={`Tasks with the tag ${tag}`}
      >
        {tag}
      </a>
    ))}
    {more > 0 && <small class="soft">and {more} more</small>}
  </span>
)
