-- A window admits at most `limit` in any interval of `reach` slots, wherever it starts. Such an
-- interval touches one slot more, so the current slot counts, and `reach` slots before it.
--
-- A value is a head of 42 bytes and up to `reach` entries of 6. Numbers are big-endian.
--   head     'W', reach, the length of a slot (us), offset (us), the number of the current slot,
--            the number of the first slot with an admission that counts, the total before that, and
--            the total of all admissions
--   entry    the total at the end of a slot; the last entry is that of the slot before the current one
-- Totals are modulo 2^48, so what counts is a difference, and a slot that ends is no sum. Before the
-- first entry nothing was admitted that counts. While the current slot lasts, only its total changes.
--
-- Slots are numbered in a time of their own, which stands still while the clock is behind: now +
-- offset. So a clock that steps back charges the current slot, and slots never come twice.
--
-- What other scripts use:
--   window_load(key, limit, slot, reach, kept)   reads a window as it is now; writes nothing
--   window_used(w)           the permits that count
--   window_fits(w, n)        whether n fit, and if not, in how many microseconds they will, if no other
--                            call comes; n is at most the limit
--   window_charge(w, n)      charges n, whether they fit or not
--   window_undo(w, slot, n)  takes a charge back that was made in the slot w.head; returns what came back:
--                            nothing once that slot is over
--   window_debit(w, n, most) charges n, so that at most `most` count, unless more did before
--   window_reset(w)          forgets all admissions
--   window_first(w), window_last(w)   in how many microseconds the first of what counts no longer does, and
--                            the last; 0 if nothing counts
--   window_save(w)           writes what has changed. Needed if w.dirty, also after a denial: then the
--                            clock has stepped back, or the slots have another length.
local WINDOW, WINDOW_SIZE, TOTAL_AT, TOTALS = '>c1BI7I7I7I7I6I6', 42, 36, 2 ^ 48

local NO_WINDOW = 'TIDEGATE the key holds something else, not a window'

local function window_used(w)
  return (w.total - w.before) % TOTALS
end

local function window_entry(w, index)
  return (struct.unpack('>I6', w.ring, index * 6 - 5))
end

-- The entries are needed only if a slot has ended, or for a wait.
local function window_ring(w)
  if not w.ring then w.ring = string.sub(w.value, WINDOW_SIZE + 1) end
  return w.ring
end

-- Returns the first slot at whose end at least `count` of the permits that count had been admitted.
local function window_slot_of(w, count)
  local entries = #window_ring(w) / 6
  local low, high = 1, entries + 1
  while low < high do
    local middle = (low + high - (low + high) % 2) / 2
    if (window_entry(w, middle) - w.before) % TOTALS >= count then high = middle else low = middle + 1 end
  end
  return w.head - entries - 1 + low
end

-- Returns the microseconds until a slot no longer counts.
local function window_until_gone(w, slot)
  return (slot + w.reach + 1) * w.slot - w.at
end

local function window_first(w)
  return w.total == w.before and 0 or window_until_gone(w, w.first)
end

local function window_last(w)
  local used, entries = window_used(w), #window_ring(w) / 6
  if used == 0 then return 0 end
  -- Mostly there are some in the current slot.
  if entries == 0 or window_entry(w, entries) ~= w.total then return window_until_gone(w, w.head) end
  return window_until_gone(w, window_slot_of(w, used))
end

local function window_clear(w)
  w.before, w.first, w.ring, w.moved = w.total, w.head, '', true
end

-- Makes the slot of the present the current one.
local function window_advance(w)
  local head = (w.at - w.at % w.slot) / w.slot
  local ended = head - w.head
  if ended == 0 then return end
  w.moved = true
  local entries = #window_ring(w) / 6
  local gone = math.max(entries + ended - w.reach, 0)
  w.head = head
  if gone > entries then
    -- The current slot itself is among them.
    window_clear(w)
    return
  end
  w.ring = w.ring .. string.rep(struct.pack('>I6', w.total), ended)
  if gone > 0 then
    w.before, w.ring = window_entry(w, gone), string.sub(w.ring, gone * 6 + 1)
  end
  if w.total == w.before then
    window_clear(w)
  elseif w.first < head - w.reach then
    w.first = window_slot_of(w, 1)
  end
end

-- Reads a window whose slots have another length: after a deployment. What was admitted in a slot
-- counts as admitted at its end, or now if that is later. It is written also after a denial, whose
-- wait depends on it.
local function window_convert(w, slot, reach)
  local entries, ring, old = #window_ring(w) / 6, w.ring, w.head
  w.head = (w.at - w.at % slot) / slot
  local totals, total = {}, struct.pack('>I6', w.total)
  for i = 0, reach do
    -- The last old slot that has ended by the start of a new one.
    local start = (w.head - reach + i) * slot
    local last = (start - start % w.slot) / w.slot - 1
    if last >= old then
      totals[i] = total
    elseif last < old - entries then
      totals[i] = struct.pack('>I6', w.before)
    else
      local at = (last - old + entries) * 6
      totals[i] = string.sub(ring, at + 1, at + 6)
    end
  end
  w.before, w.ring = struct.unpack('>I6', totals[0]), table.concat(totals, '', 1, reach)
  w.slot, w.reach, w.moved, w.dirty = slot, reach, true, true
  if w.total == w.before then window_clear(w) else w.first = window_slot_of(w, 1) end
end

-- `kept` windows never expire, and are full if they are absent.
local function window_load(key, limit, slot, reach, kept)
  local value = redis.call('GET', key)
  if not value then
    local head = (now - now % slot) / slot
    return {
      key = key, limit = limit, slot = slot, reach = reach, kept = kept, at = now, dirty = kept, moved = true,
      ring = '', offset = 0, head = head, first = head, before = 0, total = kept and limit or 0,
    }
  end
  if #value < WINDOW_SIZE then error(NO_WINDOW) end
  local mark, its_reach, its_slot, offset, head, first, before, total = struct.unpack(WINDOW, value)
  local entries = (#value - WINDOW_SIZE) / 6
  -- From 2^53 on, doubles would not be exact.
  if mark ~= 'W' or its_reach == 0 or its_slot == 0 or first > head or (head + 1) * its_slot >= 2 ^ 53
    or offset >= 2 ^ 53 or entries % 1 > 0 or entries > its_reach then
    error(NO_WINDOW)
  end
  local w = {
    key = key, limit = limit, slot = its_slot, reach = its_reach, kept = kept, at = now + offset, dirty = false,
    moved = false, ring = nil, offset = offset, head = head, first = first, before = before, total = total,
    value = value,
  }
  if w.at < w.head * w.slot then
    -- The clock has stepped back: no time has passed since the current slot began.
    w.at = w.head * w.slot
    w.offset, w.moved, w.dirty = w.at - now, true, true
  end
  if w.slot ~= slot or w.reach ~= reach then window_convert(w, slot, reach) else window_advance(w) end
  return w
end

local function window_fits(w, n)
  local over = window_used(w) + n - w.limit
  if over <= 0 then return true, 0 end
  return false, window_until_gone(w, over == 1 and w.first or window_slot_of(w, over))
end

local function window_charge(w, n)
  if n == 0 then return end
  if w.total == w.before then window_clear(w) end
  w.total, w.dirty = (w.total + n) % TOTALS, true
end

local function window_debit(w, n, most)
  window_charge(w, math.max(math.min(n, most - window_used(w)), 0))
end

local function window_undo(w, slot, n)
  if slot ~= w.head then return 0 end
  local entries = #window_ring(w) / 6
  local ended = entries > 0 and window_entry(w, entries) or w.before
  n = math.min(n, (w.total - ended) % TOTALS)
  if n > 0 then w.total, w.dirty = (w.total - n) % TOTALS, true end
  return n
end

local function window_reset(w)
  window_clear(w)
  w.dirty = true
end

local function window_save(w)
  if not w.moved then
    redis.call('SETRANGE', w.key, TOTAL_AT, struct.pack('>I6', w.total))
    return
  end
  local value = struct.pack(WINDOW, 'W', w.reach, w.slot, w.offset, w.head, w.first, w.before, w.total)
    .. window_ring(w)
  if w.kept then
    redis.call('SET', w.key, value)
    return
  end
  -- An empty window needs no key. The millisecond is rounded up.
  local gone = now + (w.total == w.before and 0 or window_until_gone(w, w.head))
  redis.call('SET', w.key, value, 'PXAT', (gone - gone % 1000) / 1000 + 2)
end
