-- One step of an API limiter. Needs `bucket.lua`, `window.lua`, `api_state.lua` and
-- `api_calls.lua`.
-- KEYS: state, calls, their ends, then the limits: those on requests, then those on tokens.
-- ARGV: the operation, what it needs, and then for each limit 12 numbers: its code, den (0 for a
--   window), capacity (us, num), how many parts of 1 / den a token takes; or the limit, the length of
--   a slot, the number of slots; cost (us, num), what must be left (us, num), and what was charged
--   without the server (us, num), which of a window are permits, in place of us; and how long an absent
--   limit counts as empty, 0 if it counts as full. Then the changed quota that the node knows, or ''.
--   After a changed one, the quota that it began with, and whether these are the quotas of a table (1
--   or 0).
-- Amounts are four: requests, tokens, input tokens, output tokens.
-- A step with limits returns, if the server knows newer quotas than the node and so has done nothing,
-- -2, and for each of these the limit's index and the quota.
local MOST_DEBT = 50 * 31557600 * 1000000
-- Limits on tokens have codes from here on.
local TOKENS = 64
-- So much higher are the codes of windows in claims, where a need is in permits.
local WINDOW = 128

local at, limits, s, calls_changed = 1, {}, nil, false

local function text()
  at = at + 1
  return ARGV[at]
end

local function number()
  return tonumber(text())
end

local function amounts()
  return { number(), number(), number(), number() }
end

-- Reads the limits, and opens all buckets, before anything is changed. Returns the answer for a node
-- that does not know the newest quotas.
local function read_limits()
  local newer = { -2 }
  for i = 4, #KEYS do
    local l = { key = KEYS[i], code = number(), den = number() }
    l.cap_us, l.cap_num, l.size = number(), number(), number()
    l.us, l.num, l.need_us, l.need_num = number(), number(), number(), number()
    l.late_us, l.late_num, l.empty_for = number(), number(), number()
    local quota, base, of_table = text(), nil, false
    if quota == '' then quota = nil else base, of_table = text(), number() == 1 end
    if l.den > 0 then
      l.is = load(l.key, l.den, l.cap_us, l.cap_num, l.empty_for, quota, base, of_table)
      if l.is.is_old then tell_quota(newer, i - 3, l.is) end
      raise(l.is, now)
    end
    limits[#limits + 1] = l
  end
  if #newer > 1 then return newer end
end

local function by_code(code)
  for _, l in ipairs(limits) do
    if l.code == code then return l end
  end
end

-- Reads a window when it is needed.
local function opened(l)
  if not l.is then
    l.is = window_load(l.key, l.cap_us, l.cap_num, l.size, l.empty_for > 0)
  end
  return l.is
end

-- Whether what a call needs fits after `ahead`, and if not, when.
local function limit_fits(l, ahead)
  local limit = opened(l)
  ahead = math.max(math.min(ahead, l.cap_us - l.need_us), 0)
  if l.den == 0 then return window_fits(limit, l.need_us + ahead) end
  return fits(limit, l.need_us + ahead, l.need_num)
end

-- Charges a call, and returns what its record says of it.
local function limit_charge(l)
  local limit = opened(l)
  if l.den == 0 then
    window_charge(limit, l.us)
    return { code = l.code, a = limit.head, b = l.us, den = 0, token = 0 }
  end
  if l.us > 0 or l.num > 0 then
    charge(limit, l.us, l.num)
    limit.dirty = true
  end
  return { code = l.code, a = l.us, b = l.num, den = l.den, token = l.size }
end

-- What nodes admitted without the server leaves the limit used up at most.
local function charge_late(l)
  if l.late_us == 0 and l.late_num == 0 then return end
  local limit = opened(l)
  if l.den == 0 then
    window_debit(limit, l.late_us, l.cap_us)
  else
    debit(limit, l.late_us, l.late_num, 0)
  end
  limit.dirty = true
end

-- Gives back what was not used, up to what an unused bucket has.
local function credit(b, us, num)
  b.us, b.num = minus(b.us, b.num, us, num, b.den)
  raise(b, now)
  b.dirty = true
end

-- What a call was charged, as an amount under the quota of now: as many tokens, or less by a part, so
-- that no more comes back than was charged.
local function charged_now(l, part)
  if part.den == l.den and part.token == l.size then return part.a, part.b end
  return rescale(part.a, part.b, part.den, part.token, l.size, l.den, false)
end

-- Makes the charge of a bucket another one.
local function recharge(l, part, us, num)
  local b, was_us, was_num = opened(l), charged_now(l, part)
  if above(us, num, was_us, was_num) then
    us, num = minus(us, num, was_us, was_num, l.den)
    debit(b, us, num, MOST_DEBT)
    b.dirty = true
  elseif above(was_us, was_num, us, num) then
    us, num = minus(was_us, was_num, us, num, l.den)
    credit(b, us, num)
  end
end

-- Writes what has changed.
local function finish()
  for _, l in ipairs(limits) do
    if l.is and l.is.dirty then
      if l.den == 0 then window_save(l.is) else save(l.is) end
    end
  end
  if s.dirty then save_state(s) end
  if calls_changed or s.swept then keep_calls(s) end
end

-- What the views leave of each unit, -1 if none counts; and for each limit what a window has left,
-- or how far the TAT of a bucket is ahead (us, num).
local function tell(answer)
  for unit = 1, UNITS do
    local left = -1
    for _, view in ipairs(s.views) do
      local of_view = math.max(left_of(s, view), 0)
      if view.unit == unit and (left < 0 or of_view < left) then left = of_view end
    end
    answer[#answer + 1] = left
  end
  for _, l in ipairs(limits) do
    local limit = opened(l)
    if l.den == 0 then
      answer[#answer + 1], answer[#answer + 2] = math.max(l.cap_us - window_used(limit), 0), 0
    else
      answer[#answer + 1], answer[#answer + 2] = limit.us - now, limit.num
    end
  end
  return answer
end

-- The code of a limit in a claim. Nodes may have different limits, in another order.
local function claim_code(l)
  return l.den == 0 and l.code + WINDOW or l.code
end

-- What nodes wait for that claimed before this one: calls, of each unit, and of limits by their
-- codes.
local function claimed_before(node)
  local calls, units, ahead = 0, { 0, 0, 0, 0 }, {}
  if node == '' then return calls, units, ahead end
  for _, claim in ipairs(s.claims) do
    if claim.node == node then break end
    calls = calls + 1
    add(units, claim.units, 1)
    for _, l in ipairs(claim.needs) do ahead[l.code] = (ahead[l.code] or 0) + l.need end
  end
  return calls, units, ahead
end

-- Keeps, renews or ends the claim of a node.
local function claim(node, required, is_claim)
  local known
  for i, other in ipairs(s.claims) do
    if other.node == node then known = i end
  end
  if not is_claim then
    if known then
      table.remove(s.claims, known)
      s.dirty = true
    end
    return
  end
  if not known then
    if #s.claims == MOST_CLAIMS then return end
    known = #s.claims + 1
  end
  local needs = {}
  for i, l in ipairs(limits) do
    needs[i] = { code = claim_code(l), need = up(l.need_us, l.need_num) }
  end
  s.claims[known] = { node = node, asked = now, units = required, needs = needs }
  s.dirty = true
end

-- Admits a request. `check` changes nothing.
--   ARGV: the call's id or '' for a request without a record; the node or '' if it does not wait;
--     whether it claims; time to live; how long an ended record is kept; the most calls in flight,
--     0 for any number; the amounts that the call is charged, and those that must be left.
-- Returns 1 if admitted; why not: the index of the limit, -1 for a pause, -2 for a view, -3 for
--   calls in flight, -4 for a call that was canceled; the wait; the calls in flight; requests,
--   tokens, forfeited and unreadable in all; and what is left.
local function decide(is_check)
  local id, node, claims = text(), text(), number() == 1
  local ttl, kept, most = number(), number(), number()
  local cost, required = amounts(), amounts()
  local newer = read_limits()
  if newer then return newer end
  if not is_check then sweep(s, kept) end
  local calls_ahead, units_ahead, ahead = claimed_before(node)
  local reason, wait = 0, 0
  for i, l in ipairs(limits) do
    if not is_check then charge_late(l) end
    local fit, needed = limit_fits(l, ahead[claim_code(l)] or 0)
    if not fit and needed > wait then reason, wait = i, needed end
  end
  if s.paused > now and s.paused - now >= wait then reason, wait = -1, s.paused - now end
  local needed = {}
  for unit = 1, UNITS do needed[unit] = required[unit] + units_ahead[unit] end
  local ready = refused_by_views(s, needed)
  if ready - now > wait then reason, wait = -2, ready - now end
  local calls = in_flight()
  if reason == 0 and id ~= '' and most > 0 and calls + calls_ahead >= most then reason = -3 end
  if id ~= '' and redis.call('HGET', CALLS, id) then reason, wait = -4, 0 end
  if reason == 0 and not is_check then
    local call = { id = id, flags = 0, charged = cost, parts = {} }
    for i, l in ipairs(limits) do call.parts[i] = limit_charge(l) end
    add(s.sent, cost, 1)
    s.requests, s.dirty = s.requests + cost[1], true
    if id == '' then
      add(s.ended, cost, 1)
    else
      write_call(call)
      set_end(s, id, now + ttl, kept)
      calls_changed, calls = true, calls + 1
    end
  end
  if node ~= '' and not is_check then claim(node, required, reason ~= 0 and claims) end
  local answer = tell({
    reason == 0 and 1 or 0, reason, wait, calls,
    s.requests, s.tokens, s.forfeited, s.unreadable,
  })
  if not is_check then finish() end
  return answer
end

-- Gives back what a call was charged. Returns whether all of it came back.
local function cancel(call)
  local complete = 1
  for _, part in ipairs(call.parts) do
    local l = by_code(part.code)
    if l and part.den == 0 and l.den == 0 then
      local lost = part.b - window_undo(opened(l), part.a, part.b)
      if lost > 0 then s.forfeited, complete = s.forfeited + lost, 0 end
    elseif l and part.den > 0 and l.den > 0 then
      recharge(l, part, 0, 0)
    end
  end
  if not has(call.flags, SEEN) then add(s.sent, call.charged, -1) end
  if has(call.flags, EXPIRED) then s.tokens = math.max(s.tokens - call.charged[2], 0) end
  s.requests = math.max(s.requests - 1, 0)
  return complete
end

-- Counts a call as ended with what it used.
local function end_with(call, used)
  local is_seen = has(call.flags, SEEN)
  for unit = 1, UNITS do
    local more = used[unit] - call.charged[unit]
    if is_seen then
      -- The rest does not come back: the response may have told what remained without it.
      more = math.max(more, 0)
      s.ended[unit] = s.ended[unit] + more
    else
      s.ended[unit] = s.ended[unit] + used[unit]
    end
    s.sent[unit] = s.sent[unit] + more
  end
  s.tokens = s.tokens + used[2]
  if has(call.flags, EXPIRED) then s.tokens = math.max(s.tokens - call.charged[2], 0) end
end

-- Ends a call: `settle`, `keep` or `cancel`.
--   ARGV: id; how long a record is kept; how long a cancellation is remembered that came before its
--     call, 0 not at all; the amounts used.
-- Returns whether the call was open, and whether all of it came back.
local function end_call(how)
  local id, kept, remembered, used = text(), number(), number(), amounts()
  local newer = read_limits()
  if newer then return newer end
  local call = read_call(id)
  if not call or has(call.flags, CANCELED) then
    if remembered > 0 then
      write_call({ id = id, flags = CANCELED, charged = { 0, 0, 0, 0 }, parts = {} })
      set_end(s, CANCELATION .. id, -(now + remembered), 0)
      calls_changed = true
    end
    finish()
    return { 0, 0 }
  end
  local complete = 0
  if how == 'cancel' then
    complete = cancel(call)
  else
    if how == 'settle' then
      for _, part in ipairs(call.parts) do
        local l = part.code >= TOKENS and by_code(part.code)
        if l then recharge(l, part, l.us, l.num) end
      end
    else
      used = call.charged
    end
    end_with(call, used)
  end
  remove_call(id)
  s.dirty = true
  sweep(s, kept)
  finish()
  return { 1, complete }
end

-- Charges what a call has used so far beyond what it was charged.
--   ARGV: id; the amounts used.
-- Returns whether the call is open.
local function report()
  local id, used = text(), amounts()
  local newer = read_limits()
  if newer then return newer end
  local call = read_call(id)
  if not call or has(call.flags, CANCELED) then return 0 end
  for _, part in ipairs(call.parts) do
    local l = part.code >= TOKENS and by_code(part.code)
    if l and above(l.us, l.num, charged_now(l, part)) then
      recharge(l, part, l.us, l.num)
      part.a, part.b, part.den, part.token = l.us, l.num, l.den, l.size
    end
  end
  if has(call.flags, EXPIRED) then s.tokens = s.tokens + math.max(used[2] - call.charged[2], 0) end
  for unit = 2, UNITS do
    local more = math.max(used[unit] - call.charged[unit], 0)
    s.sent[unit], call.charged[unit] = s.sent[unit] + more, call.charged[unit] + more
    if has(call.flags, SEEN) then s.ended[unit] = s.ended[unit] + more end
  end
  write_call(call)
  s.dirty = true
  finish()
  return 1
end

-- Charges tokens that were used without a record.
--   ARGV: the amounts used.
local function record()
  local used = amounts()
  local newer = read_limits()
  if newer then return newer end
  for _, l in ipairs(limits) do
    if l.code >= TOKENS and (l.us > 0 or l.num > 0) then
      debit(opened(l), l.us, l.num, MOST_DEBT)
      l.is.dirty = true
    end
  end
  add(s.sent, used, 1)
  add(s.ended, used, 1)
  s.tokens, s.dirty = s.tokens + used[2], true
  finish()
  return 1
end

-- Pauses all nodes after a refusal that tells no wait: each pause in a row is up to twice as long.
-- Refusals during a pause are of calls that were sent before it.
local function back_off(base, most, random)
  if base == 0 or now < s.paused then return end
  local in_a_row = now > s.paused + most and 0 or s.pauses
  local ceiling = math.min(base * 2 ^ math.min(in_a_row, 40), most)
  local least = math.floor(ceiling / 2)
  s.paused = now + least + math.floor((ceiling - least) * random / 2 ^ 30)
  s.pauses, s.pause_end = in_a_row + 1, s.paused
end

-- Takes what a response has told.
--   ARGV: the id of its call or ''; whether that ends with it; whether it is a refusal, an answer,
--     or the body of a refusal; the pause, 0 if it tells none; the least and the longest backoff; a
--     number from 0 to 2^30; values that could not be read; `Date` or 0; the number of limits, and
--     for each the unit, what remains, how long that counts, flow (amount, period), name.
local function observe_response()
  local id, ends, kind, pause = text(), number() == 1, text(), number()
  local base, most, random = number(), number(), number()
  local unreadable, date, told = number(), number(), {}
  for i = 1, number() do
    local new = { unit = number(), remaining = number() }
    new.ends, new.amount, new.period, new.name = now + number(), number(), number(), text()
    told[i] = new
  end
  local call = ends and read_call(id)
  if call and not has(call.flags, SEEN) and not has(call.flags, CANCELED) then
    call.flags = call.flags + SEEN
    write_call(call)
    observe(s, told, date, call.charged)
  else
    observe(s, told, date, nil)
  end
  if kind == 'body' and s.paused == s.pause_end and s.pause_end > 0 then
    -- Its header fields have begun a backoff.
    s.paused, s.pauses = now + pause, math.max(s.pauses - 1, 0)
  elseif pause > 0 then
    s.paused = math.max(s.paused, now + pause)
  elseif kind == 'refusal' then
    back_off(base, most, random)
  elseif now >= s.paused then
    s.pauses = 0
  end
  s.unreadable = s.unreadable + unreadable
  finish()
  return 1
end

-- Ends a pause, forgets what responses have told, and fills all token limits.
local function resume()
  local newer = read_limits()
  if newer then return newer end
  s.paused, s.views, s.dirty = 0, {}, true
  for _, l in ipairs(limits) do
    if l.code >= TOKENS then
      local b = opened(l)
      b.us, b.num, b.dirty = now + b.held, 0, true
    end
  end
  finish()
  return 1
end

-- Renews open calls.
--   ARGV: time to live; how long a record is kept; then ids.
local function renew()
  local ttl, kept = number(), number()
  for i = at + 1, #ARGV do redis.call('ZADD', ENDS, 'XX', 'GT', now + ttl, ARGV[i]) end
  s.forgotten, s.dirty, calls_changed = math.max(s.forgotten, now + ttl + kept), true, true
  sweep(s, kept)
  finish()
  return 1
end

s = load_state(KEYS[1])
local op = ARGV[1]
if op == 'reserve' or op == 'check' then return decide(op == 'check') end
if op == 'settle' or op == 'keep' or op == 'cancel' then return end_call(op) end
if op == 'report' then return report() end
if op == 'record' then return record() end
if op == 'observe' then return observe_response() end
if op == 'renew' then return renew() end
if op == 'resume' then return resume() end
s.paused, s.dirty = math.max(s.paused, now + number()), true
finish()
return 1
