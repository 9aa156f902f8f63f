/** The words that have been retired from the sources and the pages, and where they stay for a reason. */

/** A word that is refused, what to say, and what is no use of it. */
export interface Retired {
  readonly word: RegExp
  readonly say: string
  /** Uses that stay; they are taken out of a line before it is searched. */
  readonly but?: RegExp | undefined
  /** Files and folders in which it stays. */
  readonly except?: Readonly<Record<string, string>>
  /** Only files and folders in which it is refused. */
  readonly only?: ReadonlyArray<string>
}

const columns = "columns of databases keep their names"
const others = "other queues have workers"
const outside = "programs outside of the engine, which claim over HTTP"
const threads = "worker threads, of which Node's and Effect's names speak"

/** For `src`, with identifiers, comments and texts. */
export const inSources: ReadonlyArray<Retired> = [
  {
    word: /workers?/i,
    say: "instance, or slot",
    but: new RegExp(
      [
        // The pool, its folder, and its options in an engine
        /WorkerPool\w*|["./]worker[/.]|\bworker: \{|options\.worker\b|worker\?: Omit|worker: 1|workerNames|\["worker"\]/,
        /, worker, \.\.\.|demandKnown\(worker, |`worker\.`|"worker\.shares"|a worker pool/,
        // Node's threads
        /[Ww]orker threads?/,
        // Settings and flags, where people count workers
        /WORKER_[A-Z_]+|--workers|settings\.workers|\bworkers: optional|\bworkers: number|"workers", "workers", "COUNT"|defaultWorkers|tooManyWorkers/,
        // Fields that earlier designs document, and the route that has them
        /worker_id|worker_count|worker_pool|workers_active|\/workers\b|api\.system\.workers|system\.workers|WorkersJson/
      ].map(({ source }) => source).join("|"),
      "g"
    ),
    except: {
      "threads/": threads,
      "remote/": outside,
      "import/": others,
      "cli/commands/Import.ts": others,
      "domain/RemoteErrors.ts": outside,
      "http/api/ClaimsApi.ts": outside,
      "http/ClaimHandlers.ts": outside,
      "http/ClaimTexts.ts": outside,
      "index.ts": outside,
      "cli/ProgramWorker.ts": outside,
      "cli/commands/Work.ts": outside,
      "store/TaskRow.ts": columns,
      "store/sqlite/WriteAheadLog.ts": threads,
      "store/sqlite/Migrations.ts": columns,
      "store/sqlite/Archive.ts": columns,
      "store/sqlite/Claim.ts": columns,
      "store/postgres/Migrations.ts": columns,
      "store/postgres/Archive.ts": columns,
      "store/postgres/Claim.ts": columns,
      "store/postgres/Operate.ts": columns,
      "store/postgres/Lanes.ts": "a setting of PostgreSQL",
      "domain/TaskRecord.ts": "histories that older versions stored",
      "http/compat/OlderRoutes.ts": "fields of earlier designs",
      "http/compat/OlderApi.ts": "fields of earlier designs",
      "http/ApiTexts.ts": "fields of earlier designs",
      "http/api/SystemApi.ts": "a route of earlier designs",
      "http/SystemStatus.ts": "a route of earlier designs",
      "cli/commands/Watch.ts": "reads that route",
      "cli/commands/Instances.ts": "reads that route",
      "config/Settings.ts": "people count workers there",
      "cli/commands/Serve.ts": "people count workers there"
    }
  },
  { word: /redriv\w*/i, say: "rerun" },
  { word: /\bLease\b/, say: "ClaimRef for an id with its claim number" },
  { word: /\b(Signal|signal)\b/, say: "hint", only: ["store/", "worker/", "queue/", "events/"] },
  { word: /\bNote\b|\bnotes\b|\.note\(notes/, say: "progress", only: ["store/", "worker/", "events/"] },
  { word: /\b(n?ack|acked)\b/i, say: "settle" },
  {
    word: /\bstatus(es)?\b/i,
    say: "state",
    only: ["store/", "domain/", "queue/", "worker/", "events/", "maintenance/"]
  },
  {
    word:
      /\b(most|largest|longest|biggest|atMost)[A-Z]\w*|\b(const|let|readonly|type) (most|largest|longest|biggest)\b/,
    say: "max…"
  },
  {
    word: /\b[a-z]\w*[a-z]Limits?\b/,
    say: "max…",
    but: /\brateLimits?\b|resourceLimits|findLimit|\b(set|lift|reset|decode|max|made|known)Limits?\b/g,
    except: { "import/PgBoss.ts": "pg-boss calls it so" }
  },
  {
    word: /\blanes?\b/i,
    say: "queue; a lane is known to stores alone",
    only: ["Task.ts", "domain/", "http/", "cli/", "config/", "worker/", "server/"]
  },
  {
    word: /\b(anew|beside|inside of|meanwhile|whoever|nobody|somebody|anybody|everybody)\b/i,
    say: "again; besides, next to; inside; in between; the caller that; no caller, an instance"
  }
]

/** For the pages, without the decisions, which tell of their time. */
export const inPages: ReadonlyArray<Retired> = [
  {
    word: /workers?/i,
    say: "instance, or slot",
    but:
      /WorkerPool|[Ww]orker threads?|graphile-worker|pg-boss .*|`?worker\.\w+|src\/worker|test\/worker|worker: \{|WORKER_[A-Z_]+|--workers|worker_\w+|workers_active|\/workers|#get-apiv1workers|[Ww]orkers?` ?[|(]/g,
    except: {
      "docs/api.md": "fields of earlier designs",
      "docs/workers.md": outside,
      "docs/moving/": others,
      "docs/patterns.md": "names of classic patterns",
      "README.md": "links to that page",
      "docs/CHANGELOG.md": "tells of every time",
      "docs/architecture.md": "has the table of words",
      "docs/decisions/": "tell of their time",
      "bench/": "other engines have them"
    }
  },
  {
    word: /redriv\w*|operator's retry/i,
    say: "rerun",
    except: { "docs/architecture.md": "has the table of words" }
  },
  {
    word: /\blanes?\b/i,
    say: "queue and type; a lane is known to stores alone",
    except: {
      "docs/architecture.md": "has the table of words",
      "docs/decisions/": "are about stores"
    }
  }
]

/** Every use of a retired word in a text, as `path:line: word: what to say`. */
export const retiredIn = (
  path: string,
  text: string,
  words: ReadonlyArray<Retired>
): ReadonlyArray<string> => {
  const isIn = (places: ReadonlyArray<string>) => places.some((place) => path.startsWith(place))
  return words
    .filter(({ except, only }) => (only === undefined || isIn(only)) && !isIn(Object.keys(except ?? {})))
    .flatMap(({ but, say, word }) =>
      text.split("\n").flatMap((line, index) => {
        const [found] = (but === undefined ? line : line.replace(but, "")).match(word) ?? []
        return found === undefined ? [] : [`${path}:${index + 1}: ${found}: ${say}`]
      })
    )
}
