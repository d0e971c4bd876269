-- Charges several buckets, all or none.
-- ARGV: the operation, the deepest debt, how long an absent bucket counts as empty; then for each key
--   den, capacity (us, num), cost (us, num), and unreported charges (us, num), debited before the cost;
--   and if the node knows of a change, also the changed quota or '', the quota that it began with, and
--   whether these are the quotas of a table (1 or 0).
-- Returns 1 if admitted, else 0; the index of the bucket with the longest wait, and that wait; then for
--   each key how far its TAT is ahead (us, num). Or, if the server knows newer quotas than the node and
--   so has not charged, -2, and for each of these the bucket's index and the quota.
local op, most_debt, empty_for = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local buckets, worst, worst_wait = {}, 0, 0
local size, newer = (#ARGV - 3) / #KEYS, { -2 }
for i = 1, #KEYS do
  local a, at = {}, 3 + (i - 1) * size
  for j = 1, 7 do a[j] = tonumber(ARGV[at + j]) end
  local quota = ARGV[at + 8]
  if size == 7 or quota == '' then quota = nil end
  local b = load(KEYS[i], a[1], a[2], a[3], empty_for, quota, ARGV[at + 9], size > 7 and ARGV[at + 10] == '1')
  if b.is_old then tell_quota(newer, i, b) end
  if a[6] > 0 or a[7] > 0 then
    -- What nodes admitted without the server leaves the bucket empty at most. As a debt it would
    -- have to be paid although the bucket refilled meanwhile.
    debit(b, a[6], a[7], 0)
    b.dirty = true
  end
  raise(b, now)
  b.cost_us, b.cost_num = a[4], a[5]
  -- A cost of 0 always fits, also in debt.
  b.costs = a[4] > 0 or a[5] > 0
  if b.costs and (op == 'take' or op == 'peek') then
    local fit, wait = fits(b, a[4], a[5])
    if not fit and (worst == 0 or wait > worst_wait) then worst, worst_wait = i, wait end
  end
  buckets[i] = b
end
if #newer > 1 then return newer end
local answer = { worst == 0 and 1 or 0, worst, worst_wait }
for _, b in ipairs(buckets) do
  if op == 'take' and worst == 0 and b.costs then
    charge(b, b.cost_us, b.cost_num)
    b.dirty = true
  elseif op == 'debit' and b.costs then
    debit(b, b.cost_us, b.cost_num, most_debt)
    b.dirty = true
  elseif op == 'credit' and b.costs then
    b.us, b.num = minus(b.us, b.num, b.cost_us, b.cost_num, b.den)
    raise(b, now)
    b.dirty = true
  elseif op == 'level' then
    -- The cost is what is to be there.
    b.us, b.num = minus(now + b.cap_us, b.cap_num, b.cost_us, b.cost_num, b.den)
    raise(b, now)
    b.dirty = true
  elseif op == 'reset' then
    -- Nodes keep what they hold.
    b.us, b.num, b.dirty = now + b.held, 0, true
  end
  -- A denial writes nothing, and neither does a peek, unless `load` has corrected the bucket.
  if b.dirty then save(b) end
  answer[#answer + 1] = b.us - now
  answer[#answer + 1] = b.num
end
return answer
