-- The state of a bucket is its "theoretical arrival time" (TAT): the instant at which it is full
-- again, in microseconds of the server's clock. Amounts are exact: us + num / den, 0 <= num < den.
-- All numbers are whole and below 2^53, so doubles hold them. '%.0f' prints all their digits;
-- tostring does not.
--
-- A value is `1 us num den last`, and for each lease
-- ` node seq hold_us hold_num grant_us grant_num expiry`.
--   last    the clock at the last write; if it is later than now, the clock has stepped back
--   hold    what the node may still spend of earlier grants, as time
--   grant   the same of the last grant
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- With a clock that stands at 0, keys would end at once, and with them every limit.
if now == 0 then error('TIDEGATE the command TIME answers 0') end

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

-- Held amounts do not count as refilled: the TAT is at least as far ahead of `at`.
local function raise(b, at)
  if above(at + b.held_us, b.held_num, b.us, b.num) then b.us, b.num = at + b.held_us, b.held_num end
end

local function charge(b, us, num)
  b.us, b.num = plus(b.us, b.num, us, num, b.den)
end

local function release(b, us, num)
  b.held_us, b.held_num = minus(b.held_us, b.held_num, us, num, b.den)
end

local NO_BUCKET = 'TIDEGATE the key holds something else, not a bucket'

local function read_leases(b, text)
  local read = 0
  for node, seq, hold, hold_num, grant, grant_num, expiry in
    string.gmatch(text, ' (%S+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)') do
    read = read + 7 + #node + #seq + #hold + #hold_num + #grant + #grant_num + #expiry
    local l = {
      node = node, seq = tonumber(seq), hold_us = tonumber(hold), hold_num = tonumber(hold_num),
      grant_us = tonumber(grant), grant_num = tonumber(grant_num), expiry = tonumber(expiry),
    }
    if math.max(l.seq, l.hold_us, l.hold_num, l.grant_us, l.grant_num, l.expiry) >= 2 ^ 53 then error(NO_BUCKET) end
    b.leases[#b.leases + 1] = l
  end
  if read ~= #text then error(NO_BUCKET) end
end

-- `empty_for` is how long an absent bucket counts as empty; with 0 it counts as full.
local function load(key, den, cap_us, cap_num, empty_for)
  local b = {
    key = key, den = den, cap_us = cap_us, cap_num = cap_num, kept = empty_for > 0,
    us = now, num = 0, held_us = 0, held_num = 0, leases = {}, dirty = false,
  }
  local value = redis.call('GET', key)
  if not value then
    if b.kept then
      b.us, b.num, b.dirty = now + empty_for + cap_us, cap_num, true
    end
    return b
  end
  local us, num, size, last, leases = string.match(value, '^1 (%d+) (%d+) (%d+) (%d+)(.*)$')
  us, num, size, last = tonumber(us), tonumber(num), tonumber(size), tonumber(last)
  -- From 2^53 on, doubles would not keep the value exactly.
  if not us or us >= 2 ^ 53 or num >= size or size >= 2 ^ 53 or last >= 2 ^ 53 then error(NO_BUCKET) end
  b.us, b.num = us, num
  if leases ~= '' then read_leases(b, leases) end
  if size ~= den then
    -- Written under another limit: fractions with another denominator are rounded up.
    local function up(us, num) if num > 0 then return us + 1, 0 end return us, 0 end
    b.us, b.num = up(b.us, b.num)
    for _, l in ipairs(b.leases) do
      l.hold_us, l.hold_num = up(l.hold_us, l.hold_num)
      l.grant_us, l.grant_num = up(l.grant_us, l.grant_num)
    end
  end
  if last > now then
    -- The clock has stepped back: no time has passed since the last write.
    b.us = b.us - (last - now)
    for _, l in ipairs(b.leases) do l.expiry = l.expiry - (last - now) end
    b.dirty = true
  end
  if leases == '' then return b end
  for _, l in ipairs(b.leases) do
    b.held_us, b.held_num = plus(b.held_us, b.held_num, l.hold_us, l.hold_num, den)
    b.held_us, b.held_num = plus(b.held_us, b.held_num, l.grant_us, l.grant_num, den)
  end
  -- What a node did not give back in time counts as spent when its lease ended. The earliest
  -- lease is settled before the others.
  table.sort(b.leases, function(a, z) return a.expiry < z.expiry end)
  while b.leases[1] and b.leases[1].expiry <= now do
    local l = table.remove(b.leases, 1)
    raise(b, l.expiry)
    release(b, l.hold_us, l.hold_num)
    release(b, l.grant_us, l.grant_num)
  end
  return b
end

local function save(b)
  local value = string.format('1 %.0f %.0f %.0f %.0f', b.us, b.num, b.den, now)
  local full = b.us
  if b.leases[1] then
    local parts = { value }
    for _, l in ipairs(b.leases) do
      parts[#parts + 1] = string.format('%s %.0f %.0f %.0f %.0f %.0f %.0f',
        l.node, l.seq, l.hold_us, l.hold_num, l.grant_us, l.grant_num, l.expiry)
      full = math.max(full, l.expiry + b.held_us)
    end
    value = table.concat(parts, ' ')
  end
  if b.kept then
    redis.call('SET', b.key, value)
  else
    -- A full bucket needs no key. The instant is rounded up from fractions of a microsecond and of a
    -- millisecond. It is absolute, so a delay of the server does not shift it.
    redis.call('SET', b.key, value, 'PXAT', string.format('%.0f', math.ceil(full / 1000) + 1))
  end
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
  local wait = to_num > 0 and to_us + 1 or to_us
  local over_us, over_num = plus(b.held_us, b.held_num, us, num, b.den)
  if b.leases[1] and above(over_us, over_num, b.cap_us, b.cap_num) then
    over_us, over_num = minus(over_us, over_num, b.cap_us, b.cap_num, b.den)
    wait = math.max(wait, b.leases[1].expiry - now + over_us + (over_num > 0 and 1 or 0))
  end
  return false, wait
end
