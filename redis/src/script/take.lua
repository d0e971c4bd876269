-- Several buckets, all or none. ARGV: the operation, the most debt, how long an absent bucket is empty; then for each key
-- den, capacity (us, num), cost (us, num), and what was admitted without asking (us, num), which is debited first.
-- Answers whether it was admitted, the place of the bucket that refuses the longest, its wait; then for each key how far the TAT is ahead.
local op, most_debt, empty_for = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local buckets, worst, worst_wait = {}, 0, 0
for i = 1, #KEYS do
  local a = {}
  for j = 1, 7 do a[j] = tonumber(ARGV[3 + (i - 1) * 7 + j]) end
  local b = load(KEYS[i], a[1], a[2], a[3], empty_for)
  if a[6] > 0 or a[7] > 0 then
    debit(b, a[6], a[7], most_debt)
    b.dirty = true
  end
  raise(b, now)
  b.cost_us, b.cost_num = a[4], a[5]
  -- Of none there is always enough, also in debt.
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
    -- What nodes hold they hold.
    b.us, b.num, b.dirty = now + b.held_us, b.held_num, true
  end
  -- A refusal writes nothing, nor does a look; but what was found wrong is mended.
  if b.dirty then save(b) end
  answer[#answer + 1] = b.us - now
  answer[#answer + 1] = b.num
end
return answer
