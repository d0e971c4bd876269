-- Charges several limits, all or none: buckets and windows.
-- ARGV: the operation, the deepest debt of a bucket, how long an absent bucket counts as empty, the most
--   that a debt makes a window count; then seven numbers for each key:
--   a bucket   den, capacity (us, num), cost (us, num), and unreported charges (us, num)
--   a window   0, limit, the length of a slot, how many slots before the current one count, cost,
--              unreported charges, and 0
--   Unreported charges are debited before the cost. If the node knows of a changed quota, three more for
--   each key: the changed quota or '', the quota that it began with, and whether these are the quotas of a
--   table (1 or 0).
-- Returns 1 if admitted, else 0; the index of the limit with the longest wait, and that wait; then for
--   a bucket how far its TAT is ahead (us, num), and for a window the permits that count, and in how many
--   microseconds the first and the last of them no longer do. Or, if the server knows newer quotas than
--   the node and so has not charged, -2, and for each of these the bucket's index and the quota.
local op, most_debt, empty_for, most_count = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local limits, worst, worst_wait = {}, 0, 0
local size, newer = (#ARGV - 4) / #KEYS, { -2 }
for i = 1, #KEYS do
  local a, at = {}, 4 + (i - 1) * size
  for j = 1, 7 do a[j] = tonumber(ARGV[at + j]) end
  local l
  if a[1] == 0 then
    l = window_load(KEYS[i], a[2], a[3], a[4], empty_for > 0)
    if a[6] > 0 then window_debit(l, a[6], a[2]) end
    l.is_window, l.cost, l.costs = true, a[5], a[5] > 0
  else
    local quota = ARGV[at + 8]
    if size == 7 or quota == '' then quota = nil end
    l = load(KEYS[i], a[1], a[2], a[3], empty_for, quota, ARGV[at + 9], size > 7 and ARGV[at + 10] == '1')
    if l.is_old then tell_quota(newer, i, l) end
    if a[6] > 0 or a[7] > 0 then
      -- What nodes admitted without the server leaves the bucket empty at most. As a debt it would
      -- have to be paid although the bucket refilled meanwhile.
      debit(l, a[6], a[7], 0)
      l.dirty = true
    end
    raise(l, now)
    l.cost_us, l.cost_num = a[4], a[5]
    -- A cost of 0 always fits, also in debt.
    l.costs = a[4] > 0 or a[5] > 0
  end
  if l.costs and (op == 'take' or op == 'peek') then
    local fit, wait
    if l.is_window then fit, wait = window_fits(l, l.cost) else fit, wait = fits(l, a[4], a[5]) end
    if not fit and (worst == 0 or wait > worst_wait) then worst, worst_wait = i, wait end
  end
  limits[i] = l
end
if #newer > 1 then return newer end
local answer = { worst == 0 and 1 or 0, worst, worst_wait }
local admits = op == 'take' and worst == 0
for _, l in ipairs(limits) do
  if l.is_window then
    if l.costs and admits then
      window_charge(l, l.cost)
    elseif l.costs and op == 'debit' then
      window_debit(l, l.cost, most_count)
    elseif op == 'reset' then
      window_reset(l)
    end
    if l.dirty then window_save(l) end
    answer[#answer + 1] = window_used(l)
    answer[#answer + 1] = window_first(l)
    answer[#answer + 1] = window_last(l)
  else
    if l.costs and admits then
      charge(l, l.cost_us, l.cost_num)
      l.dirty = true
    elseif l.costs and op == 'debit' then
      debit(l, l.cost_us, l.cost_num, most_debt)
      l.dirty = true
    elseif op == 'credit' and l.costs then
      l.us, l.num = minus(l.us, l.num, l.cost_us, l.cost_num, l.den)
      raise(l, now)
      l.dirty = true
    elseif op == 'level' then
      -- The cost is what is to be there.
      l.us, l.num = minus(now + l.cap_us, l.cap_num, l.cost_us, l.cost_num, l.den)
      raise(l, now)
      l.dirty = true
    elseif op == 'reset' then
      -- Nodes keep what they hold.
      l.us, l.num, l.dirty = now + l.held, 0, true
    end
    -- A denial writes nothing, and neither does a peek, unless `load` has corrected the limit.
    if l.dirty then save(l) end
    answer[#answer + 1] = l.us - now
    answer[#answer + 1] = l.num
  end
end
return answer
