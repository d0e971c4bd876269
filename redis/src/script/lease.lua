-- Renews one node's lease on one bucket: settles what is left, and grants the largest amount it can.
-- ARGV: den, capacity (us, num), how long an absent bucket counts as empty,
--   unreported charges (us, num), node (and after its 16 bytes, if it knows of a change, the changed
--   quota, the one that it began with, and whether these are the quotas of a table, 1 or 0), its record
--   (0 if it has none), seq of this request, seq of the last one whose reply arrived, what the node still
--   holds (us, num), what it gives back (us, num), the lease's time to live, what all leases together may
--   hold (us, num), then amounts (us, num): first what a call waits for, which may exceed that share, so
--   that every node can get it; then parts of a batch. If the first amount fits, each part that fits as
--   well is granted with it.
-- Returns the sum of 2^i for each granted amount i, counted from 0; whether what the node holds is
--   still its own; the wait for the first amount; how far the TAT is ahead (us, num), the number of
--   leases, and the node's record; or only -1 if a later request of the node arrived earlier; or, if the
--   server knows a newer quota than the node and so has done nothing, -2, 1 and that quota.
--
-- A node that is refused waits. Those that are refused until all of these have been served are a round.
-- After a quarter of a time to live, those that still wait come first: no batch takes what they wait for,
-- and neither does a node that was served in the round. So each of them is served before any other is
-- served twice, whatever it waits for. Until then, a node that asks takes all that is there, in few requests.
local a = {}
for i = 1, #ARGV do a[i] = i == 7 and ARGV[i] or tonumber(ARGV[i]) end
local den, node, seq, acked, ttl = a[1], string.sub(a[7], 1, 16), a[9], a[10], a[15]
local quota, base = string.sub(a[7], 17, 16 + QUOTA_SIZE), string.sub(a[7], 17 + QUOTA_SIZE, 16 + 2 * QUOTA_SIZE)
local of_table = string.sub(a[7], 17 + 2 * QUOTA_SIZE) == '1'
if quota == '' then quota = nil end
local b = load(KEYS[1], den, a[2], a[3], a[4], quota, base, of_table)
if b.is_old then return tell_quota({ -2 }, 1, b) end

local function offset_of(record)
  return HEAD_SIZE + (record - 1) * RECORD_SIZE
end

local function read_record(index)
  if index < 1 or index > b.records then return nil end
  local at = offset_of(index)
  local value = redis.call('GETRANGE', KEYS[1], at, at + RECORD_SIZE - 1)
  if #value < RECORD_SIZE then return nil end
  local r = { index = index }
  r.node, r.seq, r.hold_us, r.hold_num, r.grant_us, r.grant_num, r.ends, r.served, r.waits_in, r.waits_for =
    struct.unpack(RECORD, value)
  return r.node == node and r or nil
end

-- Finds the record of a node that does not know where it is, because the reply was lost.
local function find_record()
  local all = redis.call('GETRANGE', KEYS[1], HEAD_SIZE, -1)
  local at = string.find(all, node, 1, true)
  return at and (at - 1) % RECORD_SIZE == 0 and read_record((at - 1) / RECORD_SIZE + 1) or nil
end

-- Returns where a new record goes. An ended lease leaves its record to another node. If fewer than
-- half of the records are in use, one of these is found, so the table does not grow; each search
-- goes on where the last one ended.
local function free_record()
  for _ = 1, b.records > 2 * b.leases + 8 and b.records or 2 do
    if b.records == 0 then break end
    b.cursor = b.cursor % b.records + 1
    local at = offset_of(b.cursor) + 51
    if struct.unpack('>I7', redis.call('GETRANGE', KEYS[1], at, at + 6)) <= now + b.offset then
      return b.cursor
    end
  end
  b.records = b.records + 1
  return b.records
end

local function leave_bin(r)
  for i, bin in ipairs(b.bins) do
    -- Merged bins contain earlier ends, too, and no two bins overlap.
    if bin.ends >= r.ends then
      local held = up(plus(r.hold_us, r.hold_num, r.grant_us, r.grant_num, den))
      bin.held, bin.leases = bin.held - held, bin.leases - 1
      b.held, b.leases = b.held - held, b.leases - 1
      if bin.leases == 0 then table.remove(b.bins, i) end
      return
    end
  end
end

-- Returns the end of the lease: a multiple of an eighth to a quarter of its time to live.
local function join_bin(held)
  local _, exponent = math.frexp(ttl)
  local step = 2 ^ (exponent - 3)
  local ends = now + b.offset + ttl + step - 1
  ends = ends - ends % step
  local at = 1
  while b.bins[at] and b.bins[at].ends < ends do at = at + 1 end
  if not b.bins[at] or b.bins[at].first > ends then
    table.insert(b.bins, at, { first = ends, ends = ends, held = 0, leases = 0 })
  end
  local bin = b.bins[at]
  bin.held, bin.leases = bin.held + held, bin.leases + 1
  b.held, b.leases = b.held + held, b.leases + 1
  if #b.bins > BINS then
    -- Times to live differ a lot. The leases of two bins end with the later one.
    local closest = 1
    for i = 2, BINS do
      if b.bins[i + 1].ends - b.bins[i].ends < b.bins[closest + 1].ends - b.bins[closest].ends then
        closest = i
      end
    end
    local early, late = table.remove(b.bins, closest), b.bins[closest]
    late.first, late.held, late.leases = early.first, late.held + early.held, late.leases + early.leases
  end
  return ends
end

local mine, kept = read_record(a[8]), 0
if not mine and b.records > 0 and acked + 1 < seq then mine = find_record() end
if mine and seq <= mine.seq then return { -1 } end
local live = mine and mine.ends > now + b.offset

-- As in `take`: at most until the bucket is empty.
if a[5] > 0 or a[6] > 0 then debit(b, a[5], a[6], 0) end
if live then
  local own_us, own_num, lost_us, lost_num = mine.hold_us, mine.hold_num, 0, 0
  if mine.seq > acked then
    -- The reply did not arrive, so the grant never took effect.
    lost_us, lost_num = mine.grant_us, mine.grant_num
  else
    own_us, own_num = plus(own_us, own_num, mine.grant_us, mine.grant_num, den)
  end
  local told_us, told_num = plus(a[11], a[12], a[13], a[14], den)
  if above(told_us, told_num, own_us, own_num) then
    -- The node refers to an earlier lease, and does not know that it has ended.
    a[11], a[12], a[13], a[14] = 0, 0, 0, 0
  else
    kept = 1
  end
  local left_us, left_num = minus(own_us, own_num, a[13], a[14], den)
  local back_us, back_num = plus(a[13], a[14], lost_us, lost_num, den)
  -- Every TAT since the grant includes what was held, so subtracting it undoes the grant exactly.
  b.us, b.num = minus(b.us, b.num, back_us, back_num, den)
  leave_bin(mine)
  -- The node may have spent what it does not hold any more just now.
  b.held = b.held + up(left_us, left_num)
  raise(b, now)
  b.held = b.held - up(left_us, left_num)
else
  -- The lease expired or was lost: it counted as spent when it ended.
  a[11], a[12] = 0, 0
end
raise(b, now)

if b.waiters > 0 and b.round_end <= now + b.offset then
  -- The nodes that still waited have not asked again for a while.
  b.waiters, b.waiting, b.round_end = 0, 0, 0
end
local waits = mine and b.waiters > 0 and mine.waits_in == b.round and mine.waits_for > 0
local was_served = mine and b.waiters > 0 and mine.served == b.round
local waiting = b.waiting - (waits and mine.waits_for or 0)

local reserved = b.waiters > 0 and b.first <= now + b.offset and waiting or 0

local places, wait, grant_us, grant_num = 0, 0, 0, 0
local room_us, room_num = minus(now + b.cap_us, b.cap_num, b.us, b.num, den)
-- Each held amount is rounded up by less than a microsecond, which is not to cost a token.
local share_us, share_num = a[16] - b.held - a[11] + b.leases, a[17]
for i = 18, #a, 2 do
  local us, num = a[i], a[i + 1]
  local left = (i > 18 or was_served) and reserved or 0
  if not above(us + left, num, room_us, room_num) and (i == 18 or not above(us, num, share_us, share_num)) then
    grant_us, grant_num = plus(grant_us, grant_num, us, num, den)
    room_us, room_num = minus(room_us, room_num, us, num, den)
    share_us, share_num = minus(share_us, share_num, us, num, den)
    places = places + 2 ^ ((i - 18) / 2)
  elseif i == 18 then
    local _, until_then = fits(b, us, num)
    wait = math.max(until_then, 1)
    break
  end
end
charge(b, grant_us, grant_num)

local waits_for = 0
if #a > 18 and places == 0 and not was_served then waits_for = up(a[18], a[19]) end
if waits_for > 0 then
  b.round_end = math.max(b.round_end, now + b.offset + ttl)
  if not waits then
    -- The first that waits begins a round, in which no node was served yet.
    if b.waiters == 0 then b.round, b.first = b.round + 1, now + b.offset + ttl / 4 - ttl / 4 % 1 end
    b.waiters = b.waiters + 1
  end
elseif waits then
  b.waiters = b.waiters - 1
end
-- More than any capacity changes nothing, and would not be exact.
b.waiting = b.waiters > 0 and math.max(0, math.min(waiting + waits_for, 2 ^ 52)) or 0
if b.waiters == 0 then b.round_end = 0 end

local index = mine and mine.index or 0
if #a > 18 or a[11] > 0 or a[12] > 0 then
  -- Also if it is refused, so that it is known to have been served.
  if index == 0 then index = free_record() end
  local ends = join_bin(up(plus(a[11], a[12], grant_us, grant_num, den)))
  raise(b, now)
  local served = places > 0 and b.round or mine and mine.served or 0
  save(b)
  redis.call('SETRANGE', KEYS[1], offset_of(index), struct.pack(RECORD,
    node, seq, a[11], a[12], grant_us, grant_num, ends, served, b.round, waits_for))
elseif mine or b.dirty or a[5] > 0 or a[6] > 0 then
  save(b)
  if mine and b.bins[1] then
    -- Keeps the number of the request, so that an earlier one that arrives later is ignored.
    redis.call('SETRANGE', KEYS[1], offset_of(index), struct.pack(RECORD, node, seq, 0, 0, 0, 0, 0, mine.served, 0, 0))
  end
end
return { places, kept, wait, b.us - now, b.num, b.leases, index }
