-- The permits of a semaphore, as the nodes hold them. A node says how many it holds, and what its
-- callers ask for, so a call that is repeated changes nothing, and a permit that a node does not name
-- has come back.
-- ARGV: the limit, node, seq of this request, the lease's time to live, how long the node's wait counts,
--   for how long an absent semaphore counts as used up, the permits that the node holds, those of them
--   that it admitted without the server, whether an earlier request of the node may still arrive (1), then
--   for each call that asks: permits, and whether it waits (1).
--   A node without a name only asks how many permits are out.
-- Returns how many of the calls are decided, from the first on; whether what the node holds is still its
--   own; how many permits are out; and the places, from 0, of the decided calls that got nothing. Or only
--   -1 if a later request of the node arrived before.
--
-- A value is a head and a record for each node. Numbers are big-endian.
--   head     'S', offset (us), the time of the last write (us), the number of the last turn
--   record   node, seq, permits, the end of its lease (us), its turn, for how many permits it waits, and
--            until when that counts (us)
-- Times are in a time of their own, which stands still while the clock is behind: now + offset.
--
-- Nodes that wait take turns, in the order in which they began to wait. What those before a node wait
-- for is kept from it. A node that gets something and still waits goes to the end.
local HEAD, RECORD, NUMBERS, HEAD_SIZE, RECORD_SIZE = '>c1I7I7I7', '>c16I7I7I7I7I7I7', '>I7I7I7I7I7I7', 22, 58
local UNKNOWN = string.rep('\0', 16)
local NO_SEMAPHORE = 'TIDEGATE the key holds something else, not a semaphore'

local a = {}
for i = 1, #ARGV do a[i] = i == 2 and ARGV[i] or tonumber(ARGV[i]) end
local limit, node, seq, ttl, waits_for, empty_for, held, unasked = a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]
local may_be_late = a[9] == 1

local value = redis.call('GET', KEYS[1])
local at, offset, turns = now, 0, 0
if value then
  local mark, last
  if #value >= HEAD_SIZE and (#value - HEAD_SIZE) % RECORD_SIZE == 0 then
    mark, offset, last, turns = struct.unpack(HEAD, value)
  end
  if mark ~= 'S' or offset >= 2 ^ 53 or last >= 2 ^ 53 then error(NO_SEMAPHORE) end
  -- If the clock has stepped back, no time has passed since the last write.
  at = math.max(now + offset, last)
  offset = at - now
else
  value = string.rep('\0', HEAD_SIZE)
  if empty_for > 0 then
    -- Any node may hold any of the permits.
    value = value .. struct.pack(RECORD, UNKNOWN, 0, limit, at + empty_for, 0, 0, 0)
  end
end

-- Returns where the record of a node begins, if its lease goes on, and its numbers.
local function find_record(name)
  local from = string.find(value, name, HEAD_SIZE + 1, true)
  while from and (from - HEAD_SIZE - 1) % RECORD_SIZE > 0 do
    from = string.find(value, name, from + 1, true)
  end
  if not from then return nil end
  local its_seq, its_held, ends, turn, want, wants_until = struct.unpack(NUMBERS, value, from + 16)
  if ends <= at then return nil end
  return from, its_seq, its_held, ends, turn, want, wants_until
end

local mine, last_seq, _, _, turn, want, wants_until
if node ~= '' then mine, last_seq, _, _, turn, want, wants_until = find_record(node) end
if mine and seq <= last_seq then return { -1 } end
local waits = mine and want > 0 and wants_until > at
if not waits then turn = turns + 1 end

-- What other nodes hold, and what those wait for that come before this one, and all of them.
local others, before, all, last_end, has_ended = 0, 0, 0, at, false
for from = HEAD_SIZE + 1, #value, RECORD_SIZE do
  if from ~= mine then
    local _, its_held, ends, its_turn, its_want, its_until = struct.unpack(NUMBERS, value, from + 16)
    if ends <= at then
      has_ended = true
    else
      others = others + its_held
      if ends > last_end then last_end = ends end
      if its_want > 0 and its_until > at then
        all = all + its_want
        if its_turn < turn then before = before + its_want end
      end
    end
  end
end
if node == '' then return { 0, 1, others } end

local kept = 1
if not mine then
  -- The lease has ended, or the server has lost it. The node keeps what is still there.
  local unknown, _, its_held, ends = find_record(UNKNOWN)
  if unknown then
    local found = math.min(its_held, held - unasked)
    others = others - found
    value = string.sub(value, 1, unknown - 1) .. struct.pack(RECORD, UNKNOWN, 0, its_held - found, ends, 0, 0, 0)
      .. string.sub(value, unknown + RECORD_SIZE)
  end
  if held > unasked and others + held > limit then kept, held = 0, unasked end
end

local decided, granted, free, refused = 0, 0, limit - others - held, {}
want = 0
for i = 10, #a, 2 do
  local reserved = granted == 0 and before or all
  if a[i] + reserved <= free then
    granted, free, held = granted + 1, free - a[i], held + a[i]
  elseif a[i + 1] == 1 then
    want = a[i]
    break
  else
    -- It does not wait, so those behind it need not wait for it.
    refused[#refused + 1] = decided
  end
  decided = decided + 1
end
if want > 0 and (granted > 0 or not waits) then
  turns = turns + 1
  turn = turns
end

-- A node that holds nothing and waits for nothing needs no record, unless an earlier request that
-- arrives later has to be ignored.
local parts = { struct.pack(HEAD, 'S', offset, at, turns), '' }
if held + want > 0 or may_be_late then
  parts[2] = struct.pack(RECORD, node, seq, held, at + ttl, turn, want, at + waits_for)
  last_end = math.max(last_end, at + ttl)
end
if not has_ended then
  local from = mine or #value + 1
  parts[3] = string.sub(value, HEAD_SIZE + 1, from - 1)
  parts[4] = string.sub(value, from + RECORD_SIZE)
else
  for from = HEAD_SIZE + 1, #value, RECORD_SIZE do
    local _, _, ends = struct.unpack(NUMBERS, value, from + 16)
    if from ~= mine and ends > at then
      parts[#parts + 1] = string.sub(value, from, from + RECORD_SIZE - 1)
    end
  end
end
if empty_for > 0 then
  redis.call('SET', KEYS[1], table.concat(parts))
else
  local ends = last_end - offset
  redis.call('SET', KEYS[1], table.concat(parts), 'PXAT', (ends - ends % 1000) / 1000 + 2)
end
return { decided, kept, others + held, unpack(refused) }
