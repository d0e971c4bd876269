-- The open calls of an API limiter. Needs `api_state.lua`.
--
-- A hash has the record of each call by its id, and a sorted set the instant at which it ends
-- unless its node renews it. The call then no longer counts as in flight. Its record is kept for a while,
-- because the node may only have been cut off: the set has minus the instant at which it is
-- forgotten.
--   id       node, number
--   record   flags, tokens charged (all, input, output), the number of limits, then for each its
--            code and what it was charged: of a bucket us, num, den and the parts of 1 / den that a
--            token took, because its quota may change; of a window slot, number, 0 and 0
local RECORD, PART = '>I1I7I7I7I1', '>I1I7I7I7d'
-- A response has told what remains after the call; its estimate counts as used, because it has
-- expired; it was canceled before it arrived.
local SEEN, EXPIRED, CANCELED = 1, 2, 4
-- The most calls whose time has passed that one script ends, and the most that it forgets.
local SWEPT = 16

local CALLS, ENDS = KEYS[2], KEYS[3]

local function has(flags, flag)
  return flags % (2 * flag) >= flag
end

local function read_call(id)
  local value = redis.call('HGET', CALLS, id)
  if not value then return nil end
  local call, parts, at = { id = id, parts = {}, charged = { 1 } }, nil, nil
  call.flags, call.charged[2], call.charged[3], call.charged[4], parts, at =
    struct.unpack(RECORD, value)
  for i = 1, parts do
    local part = {}
    part.code, part.a, part.b, part.den, part.token, at = struct.unpack(PART, value, at)
    call.parts[i] = part
  end
  return call
end

local function write_call(call)
  local charged = call.charged
  local parts = { struct.pack(RECORD, call.flags, charged[2], charged[3], charged[4], #call.parts) }
  for _, part in ipairs(call.parts) do
    parts[#parts + 1] = struct.pack(PART, part.code, part.a, part.b, part.den, part.token)
  end
  redis.call('HSET', CALLS, call.id, table.concat(parts))
end

-- Sets when a call ends or, if that is less than 0, when it is forgotten.
local function set_end(s, id, ends, kept)
  redis.call('ZADD', ENDS, ends, id)
  local forgotten = math.abs(ends) + kept
  if forgotten > s.forgotten then s.forgotten, s.dirty = forgotten, true end
end

-- The calls whose keys outlive them end with the last that is forgotten.
local function keep_calls(s)
  local ends = (s.forgotten - s.forgotten % 1000) / 1000 + 2
  redis.call('PEXPIREAT', CALLS, ends)
  redis.call('PEXPIREAT', ENDS, ends)
end

-- The member of a cancellation is longer, so that renewals do not find it.
local ID_BYTES, CANCELATION = 24, 'x'

local function remove_call(member)
  redis.call('HDEL', CALLS, string.sub(member, -ID_BYTES))
  redis.call('ZREM', ENDS, member)
end

local function in_flight()
  return redis.call('ZCOUNT', ENDS, '(' .. string.format('%.0f', now), '+inf')
end

-- Ends calls that no node has renewed. What they were charged counts as used.
local function sweep(s, kept)
  for _, id in ipairs(redis.call('ZRANGE', ENDS, 0, now, 'BYSCORE', 'LIMIT', 0, SWEPT)) do
    local call = read_call(id)
    if call then
      if not has(call.flags, SEEN) then
        add(s.ended, call.charged, 1)
        call.flags = call.flags + SEEN
      end
      if not has(call.flags, EXPIRED) then
        s.tokens, call.flags = s.tokens + call.charged[2], call.flags + EXPIRED
      end
      write_call(call)
    end
    set_end(s, id, -(now + kept), 0)
    s.dirty, s.swept = true, true
  end
  for _, id in ipairs(redis.call('ZRANGE', ENDS, -now, -1, 'BYSCORE', 'LIMIT', 0, SWEPT)) do
    remove_call(id)
  end
end
