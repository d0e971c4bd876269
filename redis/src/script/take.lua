-- Charges several buckets, all or none.
-- ARGV: the operation, the deepest debt, how long an absent bucket counts as empty; then for each key
--   den, capacity (us, num), cost (us, num), and unreported charges (us, num), debited before the cost.
-- Returns 1 if admitted, else 0; the index of the bucket with the longest wait, and that wait; then for
--   each key how far its TAT is ahead (us, num).
local op, most_debt, empty_for = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local buckets, worst, worst_wait = {}, 0, 0
for i = 1, #KEYS do
  local a = {}
  for j = 1, 7 do a[j] = tonumber(ARGV[3 + (i - 1) * 7 + j]) end
  local b = load(KEYS[i], a[1], a[2], a[3], empty_for)
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
local answer = { worst == 0 and 1 or 0, worst, worst_wait }
for _, b in ipairs(buckets) do
  if op == 'take' and worst == 0 and b.costs then
    charge(b, b.cost_us, b.cost_num)
    b.dirty = true
  elseif op == 'debit' and b.costs then
    debit(b, b.cost_us, b.cost_num, most_debt)
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
