-- The state of an API limiter, apart from its limits on a rate: pause, totals, what open calls were
-- charged, what responses have told, and which nodes wait. Needs `time.lua`.
--
-- Numbers are big-endian and in fixed places. Instants are on the server's clock.
--   head    version, the clock at the last write, end of the pause,
--           pauses in a row that no response asked for, end of the last of these,
--           requests, tokens, forfeited permits, values that could not be read, when the last call
--           is forgotten, what open calls were charged (requests, tokens, input, output),
--           the number of views, the number of claims
--   view    unit, ceiling, since, until, flow (amount, period), what remained, `Date`, name
--   claim   node, when it asked last, the number of limits, and how much the node waits for: of
--           each unit, and then after the code of each limit, as time under the quota when the node
--           asked; or in permits of a window, whose code is higher by 128
--
-- A view is what a response has told of a limit: as much may be sent as its ceiling leaves above
-- what open calls were charged. It counts until its end. With a flow, the ceiling rises by the
-- amount in each period.
--
-- A claim is of a node that has waited for long. Those that wait on other nodes, and came later,
-- leave as much as it waits for.
local HEAD = '>I1I7I7I4I7I7I7I7I7I7I7I7I7I7I1I1'
local VIEW, CLAIM, NEED = '>I1i7I7I7I7I7I7I7I1c0', '>c16I7I1', '>I1I7'
local HEAD_BYTES, VERSION = 91, 1
local MOST_VIEWS, MOST_CLAIMS, CLAIM_US = 32, 64, 3000000
local UNITS = 4
-- More than any provider allows in a day. A thousand open calls of so much stay below 2^53.
local MOST = 2 ^ 42
-- How long totals are kept after the last write.
local TOTALS_US = 2 * 86400 * 1000000

local NO_STATE = 'TIDEGATE the key holds something else, not an API limiter'

-- Returns the shift of a clock that has stepped back since the last write. Without a correction,
-- a pause or a view would last longer by as much.
local function unshift(s, last)
  local back = math.max(last - now, 0)
  if back == 0 then return end
  s.dirty = true
  s.paused, s.pause_end = math.max(s.paused - back, 0), math.max(s.pause_end - back, 0)
  for _, view in ipairs(s.views) do view.since, view.ends = view.since - back, view.ends - back end
  for _, claim in ipairs(s.claims) do claim.asked = claim.asked - back end
end

local function load_state(key)
  local s = {
    key = key, dirty = false, paused = 0, pauses = 0, pause_end = 0, requests = 0, tokens = 0,
    forfeited = 0, unreadable = 0, forgotten = 0, sent = { 0, 0, 0, 0 }, ended = { 0, 0, 0, 0 },
    views = {}, claims = {},
  }
  local value = redis.call('GET', key)
  if not value then return s end
  if #value < HEAD_BYTES or string.byte(value) ~= VERSION then error(NO_STATE) end
  local _, last, views, claims, at
  _, last, s.paused, s.pauses, s.pause_end, s.requests, s.tokens, s.forfeited, s.unreadable,
    s.forgotten, s.sent[1], s.sent[2], s.sent[3], s.sent[4], views, claims, at =
    struct.unpack(HEAD, value)
  for _ = 1, views do
    local view = {}
    view.unit, view.ceiling, view.since, view.ends, view.amount, view.period, view.remaining,
      view.date, view.name, at = struct.unpack(VIEW, value, at)
    s.views[#s.views + 1] = view
  end
  for _ = 1, claims do
    local claim, limits = { units = {}, needs = {} }, nil
    claim.node, claim.asked, limits, at = struct.unpack(CLAIM, value, at)
    for unit = 1, UNITS do claim.units[unit], at = struct.unpack('>I7', value, at) end
    for i = 1, limits do
      local need = {}
      need.code, need.need, at = struct.unpack(NEED, value, at)
      claim.needs[i] = need
    end
    s.claims[#s.claims + 1] = claim
  end
  unshift(s, last)
  -- What has ended no longer counts.
  for i = #s.views, 1, -1 do
    if s.views[i].ends <= now then table.remove(s.views, i) end
  end
  for i = #s.claims, 1, -1 do
    if s.claims[i].asked + CLAIM_US <= now then table.remove(s.claims, i) end
  end
  return s
end

local function save_state(s)
  -- Only the difference of what was sent and what has ended matters.
  for unit = 1, UNITS do
    s.sent[unit] = math.max(s.sent[unit] - s.ended[unit], 0)
  end
  local parts = {
    struct.pack(HEAD, VERSION, now, s.paused, math.min(s.pauses, 1000), s.pause_end, s.requests,
      s.tokens, s.forfeited, s.unreadable, s.forgotten, s.sent[1], s.sent[2], s.sent[3], s.sent[4],
      #s.views, #s.claims),
  }
  for _, view in ipairs(s.views) do
    view.ceiling = view.ceiling - s.ended[view.unit]
    parts[#parts + 1] = struct.pack(VIEW, view.unit, view.ceiling, view.since, view.ends,
      view.amount, view.period, view.remaining, view.date, #view.name, view.name)
  end
  for _, claim in ipairs(s.claims) do
    parts[#parts + 1] = struct.pack(CLAIM, claim.node, claim.asked, #claim.needs)
    for _, need in ipairs(claim.units) do parts[#parts + 1] = struct.pack('>I7', need) end
    for _, l in ipairs(claim.needs) do parts[#parts + 1] = struct.pack(NEED, l.code, l.need) end
  end
  s.ended = { 0, 0, 0, 0 }
  local ends = math.max(s.paused, s.forgotten, now + TOTALS_US)
  redis.call('SET', s.key, table.concat(parts), 'PXAT', (ends - ends % 1000) / 1000 + 2)
end

-- What may be sent on top of what was sent; less than 0 if that is too much already.
local function left_of(s, view)
  local flown = 0
  if view.amount > 0 then
    flown = math.min(math.floor(view.amount * (now - view.since) / view.period), MOST)
  end
  return view.ceiling + flown - s.sent[view.unit]
end

-- When so much may be sent, if it may not now.
local function ready_at(s, view, required)
  if view.amount == 0 then return view.ends end
  local missing = required + s.sent[view.unit] - view.ceiling
  local wait = math.ceil(missing * view.period / view.amount)
  return math.min(view.ends, math.max(view.since + wait, now + 1))
end

-- When the views that refuse a call no longer do; 0 if none refuses it.
local function refused_by_views(s, required)
  local ready = 0
  for _, view in ipairs(s.views) do
    if left_of(s, view) < required[view.unit] then
      ready = math.max(ready, ready_at(s, view, required[view.unit]))
    end
  end
  return ready
end

-- Adds amounts, times `sign`.
local function add(sums, amounts, sign)
  for unit = 1, UNITS do sums[unit] = sums[unit] + sign * amounts[unit] end
end

-- Whether a response was made before a view of the same limit: of two in one second, the one that
-- leaves more.
local function is_older(new, old)
  if old.date == 0 or new.date == 0 then return false end
  return new.date < old.date or (new.date == old.date and new.remaining > old.remaining)
end

-- Takes what a response has told of limits. `ends` is what its call was counted with, if it ends
-- here.
local function observe(s, told, date, ends)
  if ends then add(s.ended, ends, 1) end
  local known = #s.views
  for _, new in ipairs(told) do
    new.ceiling, new.since, new.date = s.ended[new.unit] + new.remaining, now, date
    local index
    for i = 1, known do
      if s.views[i].name == new.name then index = i end
    end
    local old = s.views[index]
    if not old then
      if #s.views < MOST_VIEWS then s.views[#s.views + 1] = new end
    elseif is_older(new, old) then
      -- Older than the view: its call was sent before that, and no longer counts against it.
      if ends then old.ceiling = old.ceiling + ends[old.unit] end
    else
      s.views[index] = new
    end
  end
  for i = #s.views, 1, -1 do
    if s.views[i].ends <= now then table.remove(s.views, i) end
  end
  s.dirty = true
end
