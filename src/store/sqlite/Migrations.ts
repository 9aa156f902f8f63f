/**
 * The file's layout and its history. A released migration is never edited; a change is a new entry at the end.
 */
import type { DatabaseSync } from "node:sqlite"
import { StoreIncompatible } from "../../domain/Errors.ts"
import { refuseLayout } from "../Driver.ts"
import * as PausedQueues from "../PausedQueues.ts"

/** Marks the file as ours: `TFRG`. */
export const applicationId = 0x54465247

/**
 * States are numbers in the order of `TaskState.all`: 0 scheduled, 1 pending, 2 running, 3 completed, 4 failed,
 * 5 cancelled, 6 expired. Nearly all indexes are partial, so that a task pays only for the state it is in.
 *
 * Measured with 110-byte payloads, tasks per second for inserts by thousands · claim and complete by hundreds:
 * these indexes 205 k · 75 k; `task_list` over all states 195 k · 68 k; without it 225 k · 100 k. `WITHOUT ROWID`
 * by id 220 k for inserts, but wider entries in every other index; `STRICT` costs nothing.
 */
const first = `
CREATE TABLE task (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  queue TEXT NOT NULL,
  payload TEXT NOT NULL,
  priority INTEGER NOT NULL,
  key TEXT,
  max_retries INTEGER NOT NULL,
  timeout_ms INTEGER,
  state INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  started_at INTEGER,
  completed_at INTEGER,
  failures INTEGER NOT NULL DEFAULT 0,
  crashes INTEGER NOT NULL DEFAULT 0,
  claims INTEGER NOT NULL DEFAULT 0,
  claim INTEGER NOT NULL DEFAULT 0,
  settled_claim INTEGER NOT NULL DEFAULT 0,
  lease_until INTEGER,
  worker TEXT,
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  progress REAL,
  result TEXT,
  failure TEXT,
  history TEXT
) STRICT;

-- claim: each lane in the order of work; an instance never scans types that it cannot run
CREATE INDEX task_lane ON task (queue, type, rank, seq) WHERE state = 1;
-- claim: what becomes due next
CREATE INDEX task_due ON task (due_at) WHERE state = 0;
-- rescue: leases in the order in which they run out
CREATE INDEX task_lease ON task (lease_until) WHERE state = 2;
-- prune: finished tasks by age, those that their key protects apart
CREATE INDEX task_finished ON task (state, key IS NULL, completed_at) WHERE state >= 3;
-- enqueue: idempotency keys
CREATE UNIQUE INDEX task_key ON task (type, key) WHERE key IS NOT NULL;
-- list: the states in which tasks pile up; pending and running ones are found through their own indexes
CREATE INDEX task_list ON task (state, queue, type, seq) WHERE state NOT IN (1, 2);

-- one row, so that counting costs the same with a million tasks; seq and claim are the last numbers given, and never
-- go down
CREATE TABLE tally (
  seq INTEGER NOT NULL,
  claim INTEGER NOT NULL,
  scheduled INTEGER NOT NULL,
  pending INTEGER NOT NULL,
  running INTEGER NOT NULL,
  completed INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  total_created INTEGER NOT NULL,
  total_completed INTEGER NOT NULL,
  total_failed INTEGER NOT NULL,
  total_cancelled INTEGER NOT NULL,
  total_retried INTEGER NOT NULL,
  total_crashed INTEGER NOT NULL
) STRICT;
INSERT INTO tally VALUES (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

-- the last claim of each instance that gave tasks, so that repeating its nonce gives them again; seqs by rank, as JSON,
-- of which the first got first_claim, the second the number after it, and so on
CREATE TABLE last_claim (
  worker TEXT PRIMARY KEY,
  nonce INTEGER NOT NULL,
  claimed_at INTEGER NOT NULL,
  first_claim INTEGER NOT NULL,
  seqs TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE paused_queue (queue TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE setting (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
`

/** API keys: hashes of secrets, never the secrets. */
const apiKeys = `
CREATE TABLE api_key (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  hash TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`

const instances = `
-- who shares the file, forgotten when they have given no sign of life for too long
CREATE TABLE instance (
  id TEXT PRIMARY KEY,
  started_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL,
  alive_until INTEGER NOT NULL,
  about TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- who does the chores that should run once
CREATE TABLE lead (
  chore TEXT PRIMARY KEY,
  instance TEXT NOT NULL,
  held_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`

/** The log of events: one row says where it stands, the others are batches of JSON. */
const events = `
CREATE TABLE event_head (
  seq INTEGER NOT NULL,
  floor INTEGER NOT NULL,
  attended_from INTEGER NOT NULL,
  attended_until INTEGER NOT NULL,
  -- whether a process that has not closed the file has appended
  dirty INTEGER NOT NULL
) STRICT;
INSERT INTO event_head VALUES (0, 0, 0, 0, 0);

CREATE TABLE event_batch (
  last INTEGER PRIMARY KEY,
  first INTEGER NOT NULL,
  at INTEGER NOT NULL,
  events TEXT NOT NULL
) STRICT;
`

/**
 * Documents by kind and id. `wake_at` is when one is due, or due again because its lease has run out. Rows without a
 * number of their own: a page of a list is a piece of the table.
 */
const records = `
CREATE TABLE record (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  document TEXT NOT NULL,
  due_at INTEGER,
  wake_at INTEGER,
  written_at INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_due ON record (kind, wake_at, id) WHERE wake_at IS NOT NULL;
`

/** API keys are records. Those that were there get the first number that there is. */
const keysAsRecords = `
INSERT INTO record (kind, id, version, document, written_at)
  SELECT 'api-key', id, 1, json_object('name', name, 'role', role, 'hash', hash), created_at FROM api_key;
INSERT INTO setting (name, value) VALUES ('record_version', 1) ON CONFLICT DO NOTHING;
DROP TABLE api_key;
`

/** Paused queues are records too. */
const pausesAsRecords = `
INSERT INTO record (kind, id, version, document, written_at)
  SELECT '${PausedQueues.kind}', queue, 1, '{}', CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM paused_queue;
INSERT INTO setting (name, value) VALUES ('record_version', 1) ON CONFLICT DO NOTHING;
DROP TABLE paused_queue;
`

/**
 * Gates, an empty text where there is none. The index of pending tasks has each line of a lane by itself. Of each pass the
 * file has its bucket and the task that holds it, of each line of a fair limit its turn.
 */
const gates = `
ALTER TABLE task ADD COLUMN gate TEXT NOT NULL DEFAULT '';
ALTER TABLE task ADD COLUMN costs TEXT;
DROP INDEX task_lane;
CREATE INDEX task_lane ON task (queue, type, gate, rank, seq) WHERE state = 1;
CREATE TABLE bucket (pass TEXT PRIMARY KEY, level REAL NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE holder (pass TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE turn (
  queue TEXT NOT NULL,
  type TEXT NOT NULL,
  gate TEXT NOT NULL,
  turn REAL NOT NULL,
  credit INTEGER NOT NULL,
  PRIMARY KEY (queue, type, gate)
) STRICT, WITHOUT ROWID;
`

/** How long a task holds its key, and whether it has lost it to a later one. */
const windows = `
ALTER TABLE task ADD COLUMN key_hold TEXT;
ALTER TABLE task ADD COLUMN key_lost INTEGER NOT NULL DEFAULT 0;
DROP INDEX task_key;
CREATE UNIQUE INDEX task_key ON task (type, key) WHERE key IS NOT NULL AND key_lost = 0;
`

/** Tasks that expire. Those that wait are found by when they do, in the order in which they do. */
const expiry = `
ALTER TABLE task ADD COLUMN expires_at INTEGER;
CREATE INDEX task_expires ON task (expires_at) WHERE expires_at IS NOT NULL AND state < 2;
ALTER TABLE tally ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN total_expired INTEGER NOT NULL DEFAULT 0;
`

/** Tasks that should start within a time: that time, and until when the first start is in time. */
const deadlines = `
ALTER TABLE task ADD COLUMN start_within INTEGER;
ALTER TABLE task ADD COLUMN start_by INTEGER;
`

/**
 * Tasks with gates that wait together, until one is found closed. The index has them as one line, whose name is before those of all others;
 * the first text of a gate is a bracket.
 */
const together = `
ALTER TABLE task ADD COLUMN together INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN line TEXT AS (iif(together = 0, gate, ' ')) VIRTUAL;
DROP INDEX task_lane;
CREATE INDEX task_lane ON task (queue, type, line, rank, seq) WHERE state = 1;
`

/** The name in a stored type, as an expression: see `StoredType`. */
export const typeName = "substr(type, 1, instr(type || char(31), char(31)) - 1)"

/** Keys are unique over all versions of a type. */
const versions = `
DROP INDEX task_key;
CREATE UNIQUE INDEX task_key ON task (${typeName}, key) WHERE key IS NOT NULL AND key_lost = 0;
`

/**
 * Tasks that depend on others: of each how many it depends on and still waits for, and of each how many edges have led from it to such
 * tasks, and how many of these have been told that it has ended. A task without any is in no other index than before.
 */
const dependencies = `
ALTER TABLE task ADD COLUMN on_failure TEXT;
ALTER TABLE task ADD COLUMN dependencies INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN waits_for INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN edges INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
CREATE TABLE edge (
  dependency INTEGER NOT NULL,
  nr INTEGER NOT NULL,
  task INTEGER NOT NULL,
  place INTEGER NOT NULL,
  PRIMARY KEY (dependency, nr)
) STRICT, WITHOUT ROWID;
CREATE INDEX edge_task ON edge (task, place);
DROP INDEX task_due;
CREATE INDEX task_due ON task (due_at) WHERE state = 0 AND waits_for = 0;
-- those whose end is to be told
CREATE INDEX task_untold ON task (state) WHERE state >= 3 AND told < edges;
-- prune: those with edges apart, because one that has not ended may depend on them
DROP INDEX task_finished;
CREATE INDEX task_finished ON task (state, key IS NULL, completed_at)
  WHERE state >= 3 AND edges = 0 AND dependencies = 0;
CREATE INDEX task_connected ON task (state, completed_at) WHERE state >= 3 AND (edges > 0 OR dependencies > 0);
CREATE INDEX task_dependent ON task (dependencies) WHERE state < 3 AND dependencies > 0;
`

/** The spans that tasks were enqueued in. */
const traces = `
ALTER TABLE task ADD COLUMN trace TEXT;
`

/** The tags of tasks. */
const tags = `
ALTER TABLE task ADD COLUMN tags TEXT;
`

const migrations: ReadonlyArray<string> = [
  first,
  apiKeys,
  instances,
  events,
  records,
  keysAsRecords,
  pausesAsRecords,
  gates,
  windows,
  expiry,
  deadlines,
  together,
  versions,
  dependencies,
  traces,
  tags
]

/** The layout that this version of the driver reads and writes. */
export const latest = migrations.length

/**
 * The file's layout version: 0 for a new file. Throws `StoreIncompatible` when the file belongs to another program or
 * to a newer version of this one. Changes nothing, so that a foreign file stays as it is.
 */
export const inspect = (database: DatabaseSync, path: string): number => {
  // In one statement: between two, another process may make the file, and what it made would look foreign
  const { id, objects, version } = database.prepare(
    `SELECT application_id AS id, user_version AS version, (SELECT count(*) FROM sqlite_schema) AS objects
      FROM pragma_application_id, pragma_user_version`
  ).get() as Record<"id" | "objects" | "version", number>
  if (id === applicationId) {
    const refusal = refuseLayout(path, "another file", version, latest)
    if (refusal !== undefined) throw refusal
    return version
  }
  if (id !== 0 || version !== 0 || objects !== 0) {
    throw new StoreIncompatible({
      reason: `${path} is an SQLite database of another program (application_id ${id}, ${objects} tables and ` +
        "indexes); choose another path"
    })
  }
  return 0
}

/** Brings the file to the latest layout, all of it or nothing. */
export const migrate = (database: DatabaseSync, path: string): void => {
  if (inspect(database, path) === latest) return
  database.exec("BEGIN IMMEDIATE")
  try {
    // asked again under the lock: another process may have migrated in between
    const version = inspect(database, path)
    for (const script of migrations.slice(version)) database.exec(script)
    database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${latest}`)
    database.exec("COMMIT")
  } catch (cause) {
    if (database.isTransaction) database.exec("ROLLBACK")
    throw cause
  }
}
