/**
 * What is asked of BullMQ's keys, in Lua: each script sees one moment. The layout of the keys is that of BullMQ 6:
 * ids in lists and sorted sets by state, a hash for each job, and `de:ID` for the job that holds a deduplication id.
 */

/** A hash of ours among the keys of a queue: ids that are held, with where they were. */
export const heldPlace = "taskforge-held"

/**
 * The id, the score, the place it is held from, then of the job: name, data, opts, timestamp, priority, attempts made,
 * deduplication id, scheduler, parent; and who holds the deduplication id, for how many milliseconds.
 */
export type JobRow = readonly [
  id: string,
  score: string,
  place: string,
  name: string | null,
  data: string | null,
  opts: string | null,
  timestamp: string | null,
  priority: string | null,
  made: string | null,
  key: string | null,
  scheduler: string | null,
  parent: string | null,
  holder: string | null,
  keyMs: number
]

/**
 * A page of jobs after a cursor, which is a score and an id. Where the id has left, those before it in its list have
 * left too, so the page begins with what workers take next; a sorted set goes on at the score.
 *
 * KEYS: the place. ARGV: the prefix of the queue, the kind of place, the cursor, jobs and characters at most.
 */
export const page = `
local place, prefix, kind, after, most = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local room = tonumber(ARGV[5])
local score, last = string.match(after, '^([^|]*)|(.*)$')
local found = {}
if kind == 'list' then
  local high = -1
  if last then
    local at = redis.call('LPOS', place, last, 'RANK', -1)
    if at == 0 then return found end
    if at then high = at - 1 end
  end
  local low = high - most + 1
  if high >= 0 and low < 0 then low = 0 end
  local ids = redis.call('LRANGE', place, low, high)
  for at = #ids, 1, -1 do table.insert(found, {ids[at], '', ''}) end
elseif kind == 'zset' then
  local ids
  local rank = last and redis.call('ZRANK', place, last)
  if last and not rank then
    ids = redis.call('ZRANGEBYSCORE', place, score, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  else
    local from = rank and rank + 1 or 0
    ids = redis.call('ZRANGE', place, from, from + most - 1, 'WITHSCORES')
  end
  for at = 1, #ids, 2 do table.insert(found, {ids[at], ids[at + 1], ''}) end
else
  local ids = redis.call('HKEYS', place)
  table.sort(ids)
  for _, id in ipairs(ids) do
    if #found < most and (not last or id > last) then
      local from, was = string.match(redis.call('HGET', place, id), '^([^|]*)|(.*)$')
      table.insert(found, {id, was, from})
    end
  end
end
local rows = {}
for _, row in ipairs(found) do
  local fields = redis.call('HMGET', prefix .. row[1], 'name', 'data', 'opts', 'timestamp', 'priority', 'atm', 'deid', 'rjk', 'parentKey')
  for _, field in ipairs(fields) do table.insert(row, field) end
  local holder, ms = false, 0
  if fields[7] then
    holder = redis.call('GET', prefix .. 'de:' .. fields[7])
    ms = redis.call('PTTL', prefix .. 'de:' .. fields[7])
  end
  table.insert(row, holder)
  table.insert(row, ms)
  room = room - #(fields[2] or '') - 200
  if room < 0 and #rows > 0 then break end
  table.insert(rows, row)
end
return rows
`

/**
 * Takes jobs from their place, and notes where they were. Answers those that were there.
 *
 * KEYS: the place. ARGV: the key of what is held, the name of the place, its kind, ids.
 */
export const hold = `
local place, held, name, kind = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local taken = {}
for at = 4, #ARGV do
  local id = ARGV[at]
  local score = kind == 'zset' and redis.call('ZSCORE', place, id) or ''
  local removed
  if kind == 'list' then removed = redis.call('LREM', place, -1, id) else removed = redis.call('ZREM', place, id) end
  if removed == 1 then
    redis.call('HSET', held, id, name .. '|' .. score)
    table.insert(taken, id)
  end
end
return taken
`

/**
 * Puts held jobs back, those that were first in front, and wakes a worker.
 *
 * KEYS: what is held. ARGV: the prefix of the queue, ids in the order in which workers take them.
 */
export const release = `
local held, prefix = KEYS[1], ARGV[1]
for at = #ARGV, 2, -1 do
  local id = ARGV[at]
  local noted = redis.call('HGET', held, id)
  if noted then
    local place, score = string.match(noted, '^([^|]*)|(.*)$')
    if score == '' then redis.call('RPUSH', prefix .. place, id) else redis.call('ZADD', prefix .. place, score, id) end
    redis.call('HDEL', held, id)
    if place == 'wait' or place == 'prioritized' then redis.call('ZADD', prefix .. 'marker', 0, '0') end
    if place == 'delayed' then redis.call('ZADD', prefix .. 'marker', 'LT', math.floor(tonumber(score) / 4096), '1') end
  end
end
`

/**
 * Removes held jobs with all that is stored of them.
 *
 * KEYS: what is held. ARGV: the prefix of the queue, ids.
 */
export const drop = `
local held, prefix = KEYS[1], ARGV[1]
for at = 2, #ARGV do
  local id = ARGV[at]
  if redis.call('HDEL', held, id) == 1 then
    local job = prefix .. id
    local key = redis.call('HGET', job, 'deid')
    if key and redis.call('GET', prefix .. 'de:' .. key) == id then
      redis.call('DEL', prefix .. 'de:' .. key, prefix .. 'dn:' .. key)
    end
    redis.call('DEL', job, job .. ':logs', job .. ':dependencies', job .. ':processed', job .. ':failed', job .. ':unsuccessful')
    redis.call('XADD', prefix .. 'events', 'MAXLEN', '~', 10000, '*', 'event', 'removed', 'jobId', id, 'prev', 'imported')
  end
end
`

/** A job scheduler: its id, its next tick, and the fields of its hash. */
export type SchedulerRow = readonly [
  id: string,
  next: string,
  name: string | null,
  data: string | null,
  opts: string | null,
  pattern: string | null,
  every: string | null,
  tz: string | null,
  startDate: string | null,
  endDate: string | null,
  limit: string | null
]

/** All job schedulers. KEYS: the sorted set of them. ARGV: how many at most. */
export const schedulers = `
local rows = {}
local ids = redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
for at = 1, #ids, 2 do
  local row = {ids[at], ids[at + 1]}
  local fields = redis.call('HMGET', KEYS[1] .. ':' .. ids[at], 'name', 'data', 'opts', 'pattern', 'every', 'tz', 'startDate', 'endDate', 'limit')
  for _, field in ipairs(fields) do table.insert(row, field) end
  table.insert(rows, row)
end
return rows
`

/** Removes a job scheduler and the job of its next tick, unless that runs. KEYS: their set. ARGV: the prefix, the id. */
export const dropScheduler = `
local prefix, id = ARGV[1], ARGV[2]
local next = redis.call('ZSCORE', KEYS[1], id)
if not next then return 0 end
local job = 'repeat:' .. id .. ':' .. next
local removed = redis.call('ZREM', prefix .. 'delayed', job) + redis.call('ZREM', prefix .. 'prioritized', job) +
  redis.call('LREM', prefix .. 'wait', 1, job) + redis.call('LREM', prefix .. 'paused', 1, job)
if removed > 0 then redis.call('DEL', prefix .. job, prefix .. job .. ':logs') end
redis.call('ZREM', KEYS[1], id)
redis.call('DEL', KEYS[1] .. ':' .. id)
return 1
`
