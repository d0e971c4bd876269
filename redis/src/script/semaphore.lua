-- The permits of a semaphore, as the nodes hold them. A node says how many it holds, and what its
-- callers ask for, so a call that is repeated changes nothing, and a permit that a node does not name
-- has come back.
-- ARGV: the limit, node, seq of this request, the lease's time to live, how long the node's wait counts,
--   for how long an absent semaphore counts as used up, the permits that the node holds, those of them
--   that it admitted without the server, then for each call that asks: permits, and whether it waits (1).
--   A node without a name only asks how many permits are out.
-- Returns how many of the calls got their permits, from the first on; whether what the node holds is
--   still its own; and how many permits are out. Or only -1 if a later request of the node arrived before.
--
-- A value is a head and a record for each node. Numbers are big-endian.
--   head     'S', offset (us), the time of the last write (us), the number of the last turn
--   record   node, seq, permits, the end of its lease (us), its turn, for how many permits it waits, and
--            until when that counts (us)
-- Times are in a time of their own, which stands still while the clock is behind: now + offset.
--
-- Nodes that wait take turns, in the order in which they began to wait. What those before a node wait
-- for is kept from it. A node that gets something and still waits goes to the end.
local HEAD, RECORD, HEAD_SIZE, RECORD_SIZE = '>c1I7I7I7', '>c16I7I7I7I7I7I7', 22, 58
local UNKNOWN = string.rep('\0', 16)
local NO_SEMAPHORE = 'TIDEGATE the key holds something else, not a semaphore'

local a = {}
for i = 1, #ARGV do a[i] = i == 2 and ARGV[i] or tonumber(ARGV[i]) end
local limit, node, seq, ttl, waits_for, empty_for, held, unasked = a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]

local value = redis.call('GET', KEYS[1])
local at, offset, turns, records = now, 0, 0, {}
if value then
  local mark, last
  if #value >= HEAD_SIZE and (#value - HEAD_SIZE) % RECORD_SIZE == 0 then
    mark, offset, last, turns = struct.unpack(HEAD, value)
  end
  if mark ~= 'S' or offset >= 2 ^ 53 or last >= 2 ^ 53 then error(NO_SEMAPHORE) end
  -- If the clock has stepped back, no time has passed since the last write.
  at = math.max(now + offset, last)
  offset = at - now
  for from = HEAD_SIZE + 1, #value, RECORD_SIZE do
    local r = {}
    r.node, r.seq, r.held, r.ends, r.turn, r.want, r.wants_until = struct.unpack(RECORD, value, from)
    if r.ends > at then records[#records + 1] = r end
  end
elseif empty_for > 0 then
  -- Any node may hold any of the permits.
  records[1] = { node = UNKNOWN, seq = 0, held = limit, ends = at + empty_for, turn = 0, want = 0, wants_until = 0 }
end

local mine, others, unknown = nil, 0, nil
for _, r in ipairs(records) do
  if r.node == node then mine = r else others = others + r.held end
  if r.node == UNKNOWN then unknown = r end
end
if node == '' then return { 0, 1, others } end
if mine and seq <= mine.seq then return { -1 } end

local kept = 1
if not mine then
  -- The lease has ended, or the server has lost it. The node keeps what is still there.
  mine = { node = node, held = 0, turn = 0, want = 0, wants_until = 0 }
  records[#records + 1] = mine
  if unknown then
    local found = math.min(unknown.held, held - unasked)
    unknown.held, others = unknown.held - found, others - found
  end
  if held > unasked and others + held > limit then kept, held = 0, unasked end
end

local waits = mine.want > 0 and mine.wants_until > at
local turn = waits and mine.turn or turns + 1
local before, all = 0, 0
for _, r in ipairs(records) do
  if r ~= mine and r.want > 0 and r.wants_until > at then
    all = all + r.want
    if r.turn < turn then before = before + r.want end
  end
end

local granted, free = 0, limit - others - held
local want = 0
for i = 9, #a, 2 do
  local reserved = granted == 0 and before or all
  if a[i] + reserved > free then
    if a[i + 1] == 1 then want = a[i] end
    break
  end
  granted, free, held = granted + 1, free - a[i], held + a[i]
end
if want > 0 and (granted > 0 or not waits) then
  turns = turns + 1
  turn = turns
end
mine.seq, mine.held, mine.ends, mine.turn, mine.want, mine.wants_until = seq, held, at + ttl, turn, want, at + waits_for

local parts, ends = { struct.pack(HEAD, 'S', offset, at, turns) }, at
for _, r in ipairs(records) do
  -- Also of a node that holds nothing, so that an earlier request that arrives later is ignored.
  parts[#parts + 1] = struct.pack(RECORD, r.node, r.seq, r.held, r.ends, r.turn, r.want, r.wants_until)
  ends = math.max(ends, r.ends)
end
if empty_for > 0 then
  redis.call('SET', KEYS[1], table.concat(parts))
else
  ends = ends - offset
  redis.call('SET', KEYS[1], table.concat(parts), 'PXAT', (ends - ends % 1000) / 1000 + 2)
end
return { granted, kept, others + held }
