-- Renews one node's lease on one bucket: settles what is left, and grants the largest amount it can.
-- ARGV: den, capacity (us, num), how long an absent bucket counts as empty,
--   unreported charges (us, num), node, seq of this request, seq of the last one whose reply arrived,
--   what the node still holds (us, num), what it gives back (us, num), the lease's time to live,
--   what all leases together may hold (us, num), then amounts (us, num): first what a call waits for,
--   which may exceed that share, so that every node can get it; then parts of a batch. If the first
--   amount fits, each part that fits as well is granted with it.
-- Returns the sum of 2^i for each granted amount i, counted from 0; whether what the node holds is
--   still its own; the wait for the first amount; how far the TAT is ahead (us, num), and the number of
--   leases; or only -1 if a later request of the node arrived earlier.
local a = {}
for i = 1, #ARGV do a[i] = i == 7 and ARGV[i] or tonumber(ARGV[i]) end
local den, node, seq, acked = a[1], a[7], a[8], a[9]
local b = load(KEYS[1], den, a[2], a[3], a[4])

local mine, kept = nil, 0
for i, l in ipairs(b.leases) do
  if l.node == node then
    if seq <= l.seq then return { -1 } end
    mine = table.remove(b.leases, i)
    break
  end
end

-- As in `take`: at most until the bucket is empty.
if a[5] > 0 or a[6] > 0 then debit(b, a[5], a[6], 0) end
if mine then
  local own_us, own_num, lost_us, lost_num = mine.hold_us, mine.hold_num, 0, 0
  if mine.seq > acked then
    -- The reply did not arrive, so the grant never took effect. If a later reply did arrive, this
    -- lease had ended before the clock stepped back.
    lost_us, lost_num = mine.grant_us, mine.grant_num
  else
    own_us, own_num = plus(own_us, own_num, mine.grant_us, mine.grant_num, den)
  end
  local told_us, told_num = plus(a[10], a[11], a[12], a[13], den)
  if above(told_us, told_num, own_us, own_num) then
    -- The node refers to an earlier lease, and does not know that it has ended.
    a[10], a[11], a[12], a[13] = 0, 0, 0, 0
  else
    kept = 1
  end
  local spent_us, spent_num = minus(own_us, own_num, a[10], a[11], den)
  spent_us, spent_num = minus(spent_us, spent_num, a[12], a[13], den)
  local back_us, back_num = plus(a[12], a[13], lost_us, lost_num, den)
  -- Every TAT since the grant includes what was held, so subtracting it undoes the grant exactly.
  b.us, b.num = minus(b.us, b.num, back_us, back_num, den)
  release(b, back_us, back_num)
  -- The node may have spent it just now.
  raise(b, now)
  release(b, spent_us, spent_num)
else
  -- The lease expired or was lost: it counted as spent when it ended.
  a[10], a[11] = 0, 0
  raise(b, now)
end
raise(b, now)

local places, wait, grant_us, grant_num = 0, 0, 0, 0
for i = 17, #a, 2 do
  local us, num = a[i], a[i + 1]
  local held_us, held_num = plus(b.held_us, b.held_num, us, num, den)
  local fit, until_then = fits(b, us, num)
  if fit and (i == 17 or not above(held_us, held_num, a[15], a[16])) then
    charge(b, us, num)
    b.held_us, b.held_num = held_us, held_num
    grant_us, grant_num = plus(grant_us, grant_num, us, num, den)
    places = places + 2 ^ ((i - 17) / 2)
  elseif i == 17 then
    wait = until_then
    break
  end
end

if a[10] > 0 or a[11] > 0 or places > 0 then
  b.leases[#b.leases + 1] = {
    node = node, seq = seq, hold_us = a[10], hold_num = a[11],
    grant_us = grant_us, grant_num = grant_num, expiry = now + a[14],
  }
end
if mine or places > 0 or b.dirty or a[5] > 0 or a[6] > 0 then save(b) end
return { places, kept, wait, b.us - now, b.num, #b.leases }
