-- The short way of a call that takes from one window, as long as the current slot lasts and the call
-- fits. All else is left to the rest.
-- ARGV: the cost, the limit, the length of a slot, and how many slots before the current one count.
-- Returns 0, the permits that count, and in how many microseconds the first and the last of them no
-- longer do.
if #ARGV == 4 and #KEYS == 1 then
  local value = redis.call('GETRANGE', KEYS[1], 0, 41)
  if #value == 42 then
    local mark, reach, slot, offset, head, first, before, total = struct.unpack('>c1BI7I7I7I7I6I6', value)
    local at, used = now + offset - head * slot, (total - before) % 2 ^ 48
    local sum = used + ARGV[1]
    if mark == 'W' and slot == tonumber(ARGV[3]) and reach == tonumber(ARGV[4]) and at >= 0 and at < slot
      and used > 0 and sum <= tonumber(ARGV[2]) then
      redis.call('SETRANGE', KEYS[1], 36, struct.pack('>I6', (total + ARGV[1]) % 2 ^ 48))
      return { 0, sum, (first - head + reach + 1) * slot - at, (reach + 1) * slot - at }
    end
  end
end
