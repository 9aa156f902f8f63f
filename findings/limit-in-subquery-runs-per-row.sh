#!/usr/bin/env bash
# Date:     2026-11-28
# Versions: PostgreSQL 15.20 (Debian 12), psql 15.20; the server at PGHOST:PGPORT, 127.0.0.1:5432 unless set, database test.
#
# The surprise: `DELETE … WHERE id IN (SELECT id … LIMIT 3 FOR UPDATE SKIP LOCKED)`, which many job queues on PostgreSQL
# use to take three jobs, takes a thousand when the planner believes that the table is empty. It then chooses a nested
# loop whose inner side, limit included, runs once per row; rows that this statement has taken already are skipped, so
# each run finds the next ones. Statistics of a moment when the queue was empty are enough, and a prepared statement
# keeps such a plan. The same limit within `= ANY (ARRAY(…))` is kept.
#
# What our product does: all limited statements of the PostgreSQL store read an array; a test runs each of them on
# statistics of an empty table (test/store/postgres/statistics.test.ts).
#
# Everything is done on a temporary table, which goes with the session.
set -euo pipefail

export PGHOST="${PGHOST:-127.0.0.1}" PGPORT="${PGPORT:-5432}" PGDATABASE="${PGDATABASE:-test}"

psql --version
psql -XAtq -c "SELECT version()"

# Answers how many rows a condition deletes of a thousand, by statistics of a moment when there were none
taken() {
  psql -XAtq -v ON_ERROR_STOP=1 <<SQL | tail -n 1
CREATE TEMP TABLE job (id bigint PRIMARY KEY, state int NOT NULL);
INSERT INTO job SELECT g, 0 FROM generate_series(1, 1000) g;
DELETE FROM job;
ANALYZE job;
INSERT INTO job SELECT g, 0 FROM generate_series(1, 1000) g;
WITH taken AS (DELETE FROM job WHERE $1 RETURNING id) SELECT count(*) FROM taken;
SQL
}

limited="SELECT id FROM job WHERE state = 0 ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED"
in_subquery=$(taken "id IN ($limited)")
in_array=$(taken "id = ANY (ARRAY($limited))")
echo "LIMIT 3 within IN (SELECT …):         $in_subquery of 1000 rows taken"
echo "LIMIT 3 within = ANY (ARRAY(SELECT …)): $in_array of 1000 rows taken"

[ "$in_subquery" -gt 3 ] || { echo "The behaviour has changed: the limit of the subquery was kept"; exit 1; }
[ "$in_array" -eq 3 ] || { echo "The behaviour has changed: the limit of the array was not kept"; exit 1; }
