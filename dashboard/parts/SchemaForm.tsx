/** A form made of a JSON Schema: a field for each value, with what it is for, what holds when it is left out, and what is wrong with it. */
import { useSignal } from "@preact/signals"
import { useId } from "preact/hooks"
import {
  beginning,
  Draft,
  type Field,
  fieldOf,
  isRecord,
  type JsonSchema,
  keyOf,
  nameOf,
  type Problems,
  resolved,
  variantOf
} from "../JsonSchema.ts"
import { Icon } from "./Icon.tsx"

/** A value of a schema, and where it is. */
interface Place {
  readonly schema: JsonSchema
  /** The schema of all, which has what others refer to. */
  readonly root: JsonSchema
  readonly value: unknown
  readonly onChange: (value: unknown) => void
  readonly problems: Problems
  readonly path: ReadonlyArray<string | number>
}

interface Labelled extends Place {
  readonly name: string
  readonly isNeeded: boolean
  /** Takes it away, where it is one of several. */
  readonly onRemove?: () => void
}

/** The form of a whole value. */
export const SchemaForm = (place: Place) => {
  const field = fieldOf(place.schema, place.root, 0)
  return (
    <div class="schema-form">
      {field.kind === "fields"
        ? <Fields {...place} properties={field.properties} />
        : <One {...place} name="payload" isNeeded />}
    </div>
  )
}

const Fields = ({ properties, ...place }: Place & { readonly properties: Readonly<Record<string, JsonSchema>> }) => {
  const { onChange, path, problems, root, value } = place
  const { required = [] } = resolved(place.schema, root)
  const known = isRecord(value) ? value : {}
  return (
    <>
      {Object.entries(properties).map(([name, schema]) => (
        <One
          key={name}
          name={name}
          schema={schema}
          root={root}
          value={Object.hasOwn(known, name) ? known[name] : undefined}
          onChange={(changed) => onChange(withField(known, name, changed))}
          problems={problems}
          path={[...path, name]}
          isNeeded={required.includes(name)}
        />
      ))}
      <Others known={known} properties={properties} onChange={onChange} />
    </>
  )
}

const withField = (known: Readonly<Record<string, unknown>>, name: string, value: unknown) => {
  const { [name]: _, ...others } = known
  return value === undefined ? others : { ...others, [name]: value }
}

/** Fields that the schema does not name. A copied payload may have them. */
const Others = ({ known, onChange, properties }: Pick<Place, "onChange"> & {
  readonly known: Readonly<Record<string, unknown>>
  readonly properties: Readonly<Record<string, JsonSchema>>
}) => {
  const names = Object.keys(known).filter((name) => !Object.hasOwn(properties, name))
  return names.length === 0 ? null : (
    <p class="soft others">
      The schema does not know {names.slice(0, 5).map((name) => <code key={name}>{name}</code>)}
      {names.length > 5 && `and ${names.length - 5} more`}: they are sent as they are.{" "}
      <button
        type="button"
        class="quiet"
        onClick={() => onChange(names.reduce((left, name) => withField(left, name, undefined), known))}
      >
        Leave them out
      </button>
    </p>
  )
}

/** A named value: its label, its field, and what is wrong. */
const One = (place: Labelled) => {
  const { isNeeded, name, onChange, onRemove, path, problems, root, value } = place
  const id = useId()
  const schema = resolved(place.schema, root)
  const field = fieldOf(schema, root, path.length)
  const problem = problems.get(keyOf(path))
  const isGroup = field.kind === "fields" || field.kind === "list" || field.kind === "record"
  const isAbsent = isGroup && value === undefined
  const about = [
    schema.description !== undefined && `${id}-about`,
    problem !== undefined && `${id}-problem`
  ].filter(Boolean).join(" ")
  const Box = isGroup || field.kind === "variants" ? "fieldset" : "div"
  const Name = Box === "fieldset" ? "legend" : "label"
  return (
    <Box class={`schema-field schema-${field.kind}`} data-wrong={problem === undefined ? undefined : ""}>
      <Name class="schema-name" {...Name === "label" ? { for: id } : {}}>
        <code>{name}</code>
        {isNeeded && <span class="needed">needed</span>}
        <small>{hintOf(schema, field)}</small>
      </Name>
      {onRemove !== undefined && (
        <button type="button" class="icon-button schema-remove" aria-label={`Remove ${name}`} onClick={onRemove}>
          <Icon name="close" size={15} />
        </button>
      )}
      {schema.description !== undefined && <p id={`${id}-about`} class="soft">{schema.description}</p>}
      {isAbsent
        ? (
          <button type="button" class="quiet add" onClick={() => onChange(emptyOf(field, schema, root))}>
            <Icon name="enqueue" size={15} />Give {name}
          </button>
        )
        : <Control {...place} schema={schema} field={field} id={id} about={about} isWrong={problem !== undefined} />}
      {isGroup && !isAbsent && !isNeeded && onRemove === undefined && (
        <button
          type="button"
          class="quiet add"
          onClick={() => onChange(undefined)}
        >
          Leave {name} out
        </button>
      )}
      {problem !== undefined && <p id={`${id}-problem`} class="trouble">{problem}</p>}
    </Box>
  )
}

const emptyOf = (field: Field, schema: JsonSchema, root: JsonSchema): unknown =>
  field.kind === "list" ? [] : beginning({ ...schema, type: "object" }, root) ?? {}

const hintOf = (schema: JsonSchema, field: Field): string => {
  const { exclusiveMaximum, exclusiveMinimum, maxItems, maxLength, maximum, minimum } = schema
  switch (field.kind) {
    case "text":
      return [
        schema.format ?? "text",
        maxLength !== undefined && `${maxLength.toLocaleString("en")} characters at most`
      ]
        .filter(Boolean).join(", ")
    case "number": {
      const low = minimum ?? exclusiveMinimum
      const high = maximum ?? exclusiveMaximum
      const range = low !== undefined && high !== undefined && high < Number.MAX_SAFE_INTEGER
        ? `, ${low} to ${high}`
        : low !== undefined
        ? `, from ${low}`
        : ""
      return `${field.isWhole ? "whole number" : "number"}${range}`
    }
    case "list":
      return maxItems === undefined ? "list" : `list of ${maxItems.toLocaleString("en")} at most`
    case "record":
      return "names with values"
    case "json":
      return "JSON"
  }
  return ""
}

interface ControlOptions extends Labelled {
  readonly field: Field
  readonly id: string
  readonly about: string
  readonly isWrong: boolean
  /** What it is called, where no label says so. */
  readonly label?: string
}

const Control = (options: ControlOptions) => {
  const { about, field, id, isWrong, label, ...place } = options
  const { isNeeded, onChange, schema, value } = place
  const common = {
    id,
    "aria-describedby": about || undefined,
    "aria-invalid": isWrong,
    "aria-label": label
  } as const
  const placeholder = schema.default === undefined ? undefined : `${shown(schema.default)}, when left out`
  switch (field.kind) {
    case "text": {
      const text = value instanceof Draft
        ? value.text
        : typeof value === "string"
        ? value
        : value === undefined
        ? ""
        : shown(value)
      const onInput = (event: { readonly currentTarget: { readonly value: string } }) =>
        onChange(event.currentTarget.value === "" ? undefined : event.currentTarget.value)
      return field.isLong
        ? (
          <textarea
            {...common}
            class="growing"
            rows={1}
            spellcheck={false}
            placeholder={placeholder}
            value={text}
            onInput={onInput}
          />
        )
        : (
          <input
            {...common}
            spellcheck={false}
            autocomplete="off"
            placeholder={placeholder}
            value={text}
            onInput={onInput}
          />
        )
    }
    case "number":
      return (
        <input
          {...common}
          class="short"
          inputMode="decimal"
          autocomplete="off"
          placeholder={placeholder}
          value={value instanceof Draft ? value.text : value === undefined ? "" : shown(value)}
          onInput={({ currentTarget: { value: text } }) => onChange(numberOf(text, field.isWhole))}
        />
      )
    case "choice":
      return (
        <select
          {...common}
          class="short"
          value={field.values.findIndex((one) => one === value)}
          onChange={({ currentTarget: { value: index } }) => onChange(field.values[Number(index)])}
        >
          {(!isNeeded || value === undefined) && (
            <option value={-1}>{schema.default === undefined ? "–" : `${shown(schema.default)}, when left out`}</option>
          )}
          {field.values.map((one, index) => <option key={index} value={index}>{shown(one)}</option>)}
        </select>
      )
    case "nothing":
      return <p class="soft">Nothing is needed.</p>
    case "fields":
      return (
        <div class="schema-inner">
          <Fields {...place} properties={field.properties} />
        </div>
      )
    case "list":
      return <List {...place} items={field.items} />
    case "record":
      return <Entries {...place} values={field.values} />
    case "variants":
      return <Variants {...options} variants={field.variants} />
    case "json":
      return <JsonField {...place} common={common} />
  }
}

/** A value in one line. */
const shown = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value) ?? ""

const numberOf = (text: string, isWhole: boolean): unknown => {
  if (text.trim() === "") return undefined
  const number = Number(text)
  return !Number.isFinite(number) || (isWhole && !Number.isSafeInteger(number))
    ? new Draft(text, isWhole ? "It is no whole number" : "It is no number")
    : number
}

/** Items of a list that have fields at most: more of them are for JSON. */
const maxItemsShown = 100

const List = ({ items, ...place }: Labelled & { readonly items: JsonSchema }) => {
  const { name, onChange, path, root, value } = place
  const list: ReadonlyArray<unknown> = Array.isArray(value) ? value : []
  if (list.length > maxItemsShown) return <p class="soft">It has {list.length} items: change them as JSON.</p>
  return (
    <div class="schema-inner">
      {list.map((item, index) => (
        <One
          key={index}
          {...place}
          name={`${name} ${index + 1}`}
          schema={items}
          value={item ?? undefined}
          path={[...path, index]}
          isNeeded={false}
          onChange={(changed) => onChange(list.map((old, at) => at === index ? changed ?? null : old))}
          onRemove={() => onChange(list.filter((_, at) => at !== index))}
        />
      ))}
      <button
        type="button"
        class="quiet add"
        onClick={() =>
          onChange([...list, beginning(items, root) ?? (resolved(items, root).type === "string" ? "" : null)])}
      >
        <Icon name="enqueue" size={15} />Add to {name}
      </button>
    </div>
  )
}

const Entries = ({ values, ...place }: Labelled & { readonly values: JsonSchema }) => {
  const { name, onChange, path, value } = place
  const added = useSignal("")
  const known = isRecord(value) ? value : {}
  const id = useId()
  const add = () => {
    if (added.value === "" || Object.hasOwn(known, added.value)) return
    onChange({ ...known, [added.value]: "" })
    added.value = ""
  }
  if (Object.keys(known).length > maxItemsShown) return <p class="soft">It has many names: change them as JSON.</p>
  return (
    <div class="schema-inner">
      {Object.entries(known).map(([entry, item]) => (
        <One
          key={entry}
          {...place}
          name={entry}
          schema={values}
          value={item}
          path={[...path, entry]}
          isNeeded={false}
          onChange={(changed) => onChange({ ...known, [entry]: changed ?? "" })}
          onRemove={() => onChange(withField(known, entry, undefined))}
        />
      ))}
      <div class="schema-add">
        <label class="hidden" for={id}>A name for {name}</label>
        <input
          id={id}
          placeholder="Name"
          spellcheck={false}
          value={added.value}
          onInput={({ currentTarget }) => {
            added.value = currentTarget.value
          }}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return
            event.preventDefault()
            add()
          }}
        />
        <button type="button" onClick={add}>Add to {name}</button>
      </div>
    </div>
  )
}

/** A value that may have one of several shapes. */
const Variants = ({ variants, ...place }: Omit<ControlOptions, "field"> & {
  readonly variants: ReadonlyArray<JsonSchema>
}) => {
  const { id, onChange, path, root, value } = place
  const chosen = useSignal(value === undefined ? 0 : variantOf(value, variants, root))
  const variant = variants[chosen.value]!
  return (
    <>
      <div class="options">
        {variants.map((one, index) => (
          <label key={index} class="check">
            <input
              type="radio"
              name={`${id}-variant`}
              checked={index === chosen.value}
              onChange={() => {
                chosen.value = index
                onChange(value === undefined ? undefined : beginning(one, root))
              }}
            />
            {nameOf(one)}
          </label>
        ))}
      </div>
      <Control
        {...place}
        key={chosen.value}
        schema={variant}
        field={fieldOf(variant, root, path.length + 1)}
        id={`${id}-value`}
        label={place.name}
      />
    </>
  )
}

/** Any JSON. */
const JsonField = ({ common, onChange, value }: Labelled & { readonly common: object }) => {
  // What is written stays as it is written
  const text = useSignal(
    value instanceof Draft ? value.text : value === undefined ? "" : JSON.stringify(value, null, 2)
  )
  return (
    <textarea
      {...common}
      class="growing code"
      rows={3}
      spellcheck={false}
      placeholder="JSON"
      value={text.value}
      onInput={({ currentTarget }) => {
        text.value = currentTarget.value
        onChange(jsonOf(currentTarget.value))
      }}
    />
  )
}

/** The value of a text, or the text with why it is none. */
export const jsonOf = (text: string): unknown => {
  if (text.trim() === "") return undefined
  try {
    return JSON.parse(text)
  } catch (error) {
    return new Draft(text, `It is no JSON: ${(error as Error).message}`)
  }
}
