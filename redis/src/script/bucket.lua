-- The state of a bucket is its "theoretical arrival time" (TAT): the instant at which it is full
-- again, in microseconds of the server's clock. Amounts are exact: us + num / den, 0 <= num < den.
--
-- A value has one of four forms, told apart by their lengths. Numbers are big-endian.
--   12 bytes   TAT, how far that was ahead at the last write; a token takes whole microseconds
--   28 bytes   TAT (us), the clock at the last write, num, den
--   88 bytes   the same 28 bytes, and a quota that was changed while nodes used it
--   longer     the same 88 bytes, a head of leases, and a record for each node
-- If the clock at the last write is later than now, the clock has stepped back.
local WHOLE, EXACT = '>I7I5', '>I7I7I7I7'

-- A quota: its version, den, capacity (us, num), and how many parts of 1 / den a token takes; what
-- follows is for nodes only. The version counts the changes; 0 is the quota that nodes began with.
-- All zeros stand for a quota that was never changed.
local QUOTA, QUOTA_SIZE = '>I7I7I7I7I8', 60
local UNCHANGED = string.rep('\0', QUOTA_SIZE)
local CHANGED_SIZE = 28 + QUOTA_SIZE
-- The deepest debt, 50 years.
local MOST_DEBT = 50 * 31557600 * 10 ^ 6

-- Leases end together with others, in bins, so that ended ones are settled without their records.
-- Their ends are in a time of their own, which stands still while the clock is behind: now + offset.
--   head     offset, records, the last record that a new lease looked at,
--            the round, when those that wait in it come first, its end, nodes that wait in it,
--            how much they wait for,
--            then for each bin: the first and the last end of its leases, when all of them end;
--            what these hold, and their number
--   record   node, seq, hold (us, num), grant (us, num), end, the round in which the node was served,
--            the round in which it waits, and for how much
--   hold     what the node may still spend of earlier grants, as time
--   grant    the same of the last grant
local HEAD, BIN, RECORD = '>I7I3I3I7I7I7I3I7', '>I7I7I7I3', '>c16I7I7I7I7I7I7I7I7I7'
local BINS, HEAD_SIZE, RECORD_SIZE = 12, CHANGED_SIZE + 44 + 12 * 24, 79

local NO_BUCKET = 'TIDEGATE the key holds something else, not a bucket'

local function plus(us, num, more_us, more_num, den)
  us, num = us + more_us, num + more_num
  if num >= den then return us + 1, num - den end
  return us, num
end

local function minus(us, num, less_us, less_num, den)
  us, num = us - less_us, num - less_num
  if num < 0 then return us - 1, num + den end
  return us, num
end

local function above(us, num, other_us, other_num)
  return us > other_us or (us == other_us and num > other_num)
end

local function up(us, num)
  if num > 0 then return us + 1 end
  return us
end

-- Held amounts do not count as refilled: the TAT is at least as far ahead of `at`.
local function raise(b, at)
  if at + b.held > b.us then b.us, b.num = at + b.held, 0 end
end

local function charge(b, us, num)
  b.us, b.num = plus(b.us, b.num, us, num, b.den)
end

local function read_head(b, value)
  local next
  b.offset, b.records, b.cursor, b.round, b.first, b.round_end, b.waiters, b.waiting, next =
    struct.unpack(HEAD, value, CHANGED_SIZE + 1)
  b.stored = true
  for i = 1, BINS do
    local bin = {}
    bin.first, bin.ends, bin.held, bin.leases, next = struct.unpack(BIN, value, next)
    if bin.ends == 0 then break end
    b.bins[i] = bin
    b.held, b.leases = b.held + bin.held, b.leases + bin.leases
  end
end

-- Fills a bucket in from its value, at this instant.
local function read(b, value, empty_for)
  local den = b.den
  if value == '' then
    if redis.call('GET', b.key) then error(NO_BUCKET) end
    if b.kept then
      b.us, b.num, b.dirty = now + empty_for + b.cap_us, b.cap_num, true
    end
    return
  end
  local us, last, num, size
  if #value == 12 then
    us, last = struct.unpack(WHOLE, value)
    last, num, size = us - last, 0, 1
  elseif #value == 28 or #value == CHANGED_SIZE or #value == HEAD_SIZE then
    us, last, num, size = struct.unpack(EXACT, value)
  end
  -- From 2^53 on, doubles would not keep the value exactly. Text is above, too.
  if not us or us >= 2 ^ 53 or last >= 2 ^ 53 or num >= size or size >= 2 ^ 53 then error(NO_BUCKET) end
  -- Written under another limit, a fraction with another denominator is rounded up.
  if size == den then b.us, b.num = us, num else b.us = up(us, num) end
  if #value == HEAD_SIZE then read_head(b, value) end
  if last > now then
    -- The clock has stepped back: no time has passed since the last write.
    b.us, b.offset, b.dirty = b.us - (last - now), b.offset + (last - now), true
  end
  -- What a node did not give back in time counts as spent when its lease ended. The earliest
  -- leases are settled before the others.
  while b.bins[1] and b.bins[1].ends <= now + b.offset do
    local bin = table.remove(b.bins, 1)
    raise(b, bin.ends - b.offset)
    b.held, b.leases = b.held - bin.held, b.leases - bin.leases
  end
end

local function write_head(b)
  local parts = {
    struct.pack(EXACT, b.us, now, b.num, b.den), b.quota or UNCHANGED,
    struct.pack(HEAD, b.offset, b.records, b.cursor, b.round, b.first, b.round_end, b.waiters, b.waiting),
  }
  for _, bin in ipairs(b.bins) do
    parts[#parts + 1] = struct.pack(BIN, bin.first, bin.ends, bin.held, bin.leases)
  end
  parts[#parts + 1] = string.rep('\0', 24 * (BINS - #b.bins))
  local head = table.concat(parts)
  if b.stored then
    redis.call('SETRANGE', b.key, 0, head)
  else
    redis.call('SET', b.key, head)
  end
end

local function save(b)
  -- A full bucket needs no key. The millisecond is rounded up, and absolute, so that a delay of the
  -- server does not shift it.
  local last = b.bins[#b.bins]
  -- Without its key, a changed quota would be forgotten. That of a table has a key of its own.
  local kept = b.kept or b.quota and not b.of_table
  if last then
    write_head(b)
    local full = math.max(b.us, last.ends - b.offset + b.held)
    if kept then
      redis.call('PERSIST', b.key)
    else
      redis.call('PEXPIREAT', b.key, (full - full % 1000) / 1000 + 2)
    end
    return
  end
  local value
  if b.quota then
    value = struct.pack(EXACT, b.us, now, b.num, b.den) .. b.quota
  elseif b.den == 1 and b.us - now < 2 ^ 40 then
    value = struct.pack(WHOLE, b.us, b.us - now)
  else
    value = struct.pack(EXACT, b.us, now, b.num, b.den)
  end
  if kept then
    redis.call('SET', b.key, value)
  else
    redis.call('SET', b.key, value, 'PXAT', (b.us - b.us % 1000) / 1000 + 2)
  end
end

local function version_of(quota)
  return quota and struct.unpack('>I7', quota) or 0
end

-- Returns the amount in which as many tokens refill under another quota. Exact numbers are rounded
-- to a part of the new den, others by more than their error: up if `is_up`, so that what is owed or
-- held does not shrink, or else down.
local function rescale(us, num, den, token, to_token, to_den, is_up)
  local parts = us * den + num
  local is_exact = token < 2 ^ 53 and to_token < 2 ^ 53
  if is_exact then
    local a, b = token, to_token
    while b > 0 do a, b = b, math.fmod(a, b) end
    token, to_token = token / a, to_token / a
    is_exact = parts * to_token < 2 ^ 53
  end
  if is_exact then
    local rest = math.fmod(parts * to_token, token)
    local scaled = (parts * to_token - rest) / token
    if is_up and rest > 0 then scaled = scaled + 1 end
    local to_num = math.fmod(scaled, to_den)
    return (scaled - to_num) / to_den, to_num
  end
  local scaled = parts / token * to_token / to_den
  if is_up then return math.ceil(scaled * (1 + 2 ^ -48)), 0 end
  return math.floor(scaled * (1 - 2 ^ -48)), 0
end

-- Converts what nodes hold, one record after the other. The numbers stay exact: a node that holds
-- more than the longest time is told that its lease has ended.
local function rescale_leases(b, den, token, to_den, to_token)
  local most = 2 ^ 51 / b.records
  most = most - most % 1
  for _, bin in ipairs(b.bins) do bin.held = 0 end
  b.held = 0
  for index = 1, b.records do
    local at = HEAD_SIZE + (index - 1) * RECORD_SIZE
    local r = { struct.unpack(RECORD, redis.call('GETRANGE', b.key, at, at + RECORD_SIZE - 1)) }
    if r[7] > now + b.offset then
      r[3], r[4] = rescale(r[3], r[4], den, token, to_token, to_den, true)
      r[5], r[6] = rescale(r[5], r[6], den, token, to_token, to_den, true)
      if r[3] > most then r[3], r[4] = most, 0 end
      if r[5] > most then r[5], r[6] = most, 0 end
      local held, i = up(plus(r[3], r[4], r[5], r[6], to_den)), 1
      while b.bins[i].ends < r[7] do i = i + 1 end
      b.bins[i].held, b.held = b.bins[i].held + held, b.held + held
      redis.call('SETRANGE', b.key, at, struct.pack(RECORD, unpack(r, 1, 10)))
    end
  end
end

-- Replaces the quota `from` at this instant, and writes the bucket. The level stays in tokens, at
-- most the new capacity, and so does a debt.
local function change(b, from, quota)
  local _, den, cap_us, cap_num, token = struct.unpack(QUOTA, from)
  local _, to_den, to_us, to_num, to_token = struct.unpack(QUOTA, quota)
  raise(b, now)
  local left_us, left_num = minus(now + cap_us, cap_num, b.us, b.num, den)
  if left_us < 0 then
    local debt_us, debt_num = minus(b.us, b.num, now + cap_us, cap_num, den)
    local time = up(debt_us, debt_num)
    debt_us, debt_num = rescale(debt_us, debt_num, den, token, to_token, to_den, true)
    -- Behind it may be lost leases, which nodes still spend, so it does not become shorter.
    if b.kept and debt_us < time then debt_us, debt_num = time, 0 end
    if debt_us >= MOST_DEBT then debt_us, debt_num = MOST_DEBT, 0 end
    b.us, b.num = plus(now + to_us, to_num, debt_us, debt_num, to_den)
  else
    left_us, left_num = rescale(left_us, left_num, den, token, to_token, to_den, false)
    b.us, b.num = minus(now + to_us, to_num, left_us, left_num, to_den)
  end
  if b.bins[1] then
    rescale_leases(b, den, token, to_den, to_token)
    -- What nodes wait for is in units of the old quota: the next refusal begins a new round.
    b.waiters, b.waiting, b.round_end = 0, 0, 0
  end
  b.den, b.cap_us, b.cap_num, b.quota = to_den, to_us, to_num, quota
  -- More than the new capacity is lost.
  raise(b, now)
  save(b)
end

-- Reads a bucket. `empty_for` is how long an absent bucket counts as empty; with 0 it counts as
-- full. `quota` is the changed quota that the node knows, and `base` the one that it began with; both
-- are absent if it knows of no change. The quota of a table is kept elsewhere (`of_table`), so an
-- absent bucket is full under the new one. One that counts as empty does so under the new one, too: its
-- wait is a time, which does not change with a rate.
-- Of two quotas the one with the higher version counts. If that is the stored one, `is_old` says so,
-- and the node is to adopt it.
local function load(key, den, cap_us, cap_num, empty_for, quota, base, of_table)
  local b = {
    key = key, den = den, cap_us = cap_us, cap_num = cap_num, kept = empty_for > 0,
    us = now, num = 0, dirty = false, held = 0, leases = 0, bins = {}, stored = false,
    offset = 0, records = 0, cursor = 0, round = 0, first = 0, round_end = 0, waiters = 0, waiting = 0,
    of_table = of_table,
  }
  local value = redis.call('GETRANGE', key, 0, HEAD_SIZE - 1)
  if #value == CHANGED_SIZE or #value == HEAD_SIZE then
    if struct.unpack('>I7', value) >= 2 ^ 53 then error(NO_BUCKET) end
    b.quota = string.sub(value, 29, CHANGED_SIZE)
    if b.quota == UNCHANGED then b.quota = nil end
  end
  if quota == b.quota then
    read(b, value, empty_for)
  elseif b.quota and version_of(b.quota) >= version_of(quota) then
    b.is_old = true
  elseif value == '' and (of_table or b.kept) then
    b.quota = quota
    read(b, value, empty_for)
  else
    local from = b.quota or base
    b.quota = b.quota or quota
    local _
    _, b.den, b.cap_us, b.cap_num = struct.unpack(QUOTA, from)
    read(b, value, empty_for)
    change(b, from, quota)
  end
  return b
end

-- Adds the stored quota of a bucket to the answer for a node that does not know it: the bucket's
-- index, and the record in numbers of four bytes.
local function tell_quota(answer, index, b)
  answer[#answer + 1] = index
  for at = 1, QUOTA_SIZE, 4 do answer[#answer + 1] = struct.unpack('>I4', b.quota, at) end
  return answer
end

-- Charges more than the bucket has, if need be, up to a debt of `most_us`.
local function debit(b, us, num, most_us)
  raise(b, now)
  local was_us, was_num = b.us, b.num
  charge(b, us, num)
  local end_us = now + b.cap_us + most_us
  if above(b.us, b.num, end_us, b.cap_num) then
    b.us, b.num = end_us, b.cap_num
    if above(was_us, was_num, b.us, b.num) then b.us, b.num = was_us, was_num end
  end
end

-- Returns whether a cost fits, and if not, in how many microseconds it would. What other nodes hold
-- comes back when their leases end.
local function fits(b, us, num)
  local to_us, to_num = plus(b.us, b.num, us, num, b.den)
  to_us, to_num = minus(to_us, to_num, now + b.cap_us, b.cap_num, b.den)
  if not above(to_us, to_num, 0, 0) then return true, 0 end
  local wait = up(to_us, to_num)
  local over_us, over_num = b.held + us, num
  if b.bins[1] and above(over_us, over_num, b.cap_us, b.cap_num) then
    over_us, over_num = minus(over_us, over_num, b.cap_us, b.cap_num, b.den)
    wait = math.max(wait, b.bins[1].ends - b.offset - now + up(over_us, over_num))
  end
  return false, wait
end
