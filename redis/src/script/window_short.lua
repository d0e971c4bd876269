-- The short way of a call that takes from one window. It does what the rest does, in half of the time.
-- Left to the rest: an absent or empty window, slots of another length, a clock that has stepped back,
-- values that are no window, and waits for more than the first of what counts.
-- ARGV: the cost, the limit, the length of a slot, and how many slots before the current one count.
-- Returns the wait, which is 0 if the call is admitted; the permits that count, and in how many
-- microseconds the first and the last of them no longer do.
if #ARGV == 4 and #KEYS == 1 then
  local value = redis.call('GET', KEYS[1])
  if value and #value >= 42 then
    local mark, reach, slot, offset, head, first, before, total = struct.unpack('>c1BI7I7I7I7I6I6', value)
    local at, entries = now + offset, (#value - 42) / 6
    local ended = (at - at % slot) / slot - head
    local gone = entries + ended - reach
    if mark == 'W' and slot == tonumber(ARGV[3]) and reach == tonumber(ARGV[4]) and ended >= 0 and ended <= reach
      and entries % 1 == 0 and entries <= reach and first <= head and at < 2 ^ 53 and total ~= before then
      if first < head + ended - reach then
        -- What the first slots admitted does not count any more.
        before = struct.unpack('>I6', value, 37 + gone * 6)
        local low, high = gone + 1, entries + 1
        -- Mostly the next slot has admitted some.
        if low < high and struct.unpack('>I6', value, 37 + low * 6) ~= before then high = low end
        while low < high do
          local middle = (low + high - (low + high) % 2) / 2
          if struct.unpack('>I6', value, 37 + middle * 6) ~= before then high = middle else low = middle + 1 end
        end
        first = head - entries - 1 + low
      end
      local used, cost = (total - before) % 2 ^ 48, tonumber(ARGV[1])
      local over = used + cost - ARGV[2]
      local first_us = (first + reach + 1) * slot - at
      if over <= 0 and used > 0 then
        local sum = (total + cost) % 2 ^ 48
        if ended == 0 then
          redis.call('SETRANGE', KEYS[1], 36, struct.pack('>I6', sum))
        else
          local gone_us = (head + ended + reach + 1) * slot - offset
          redis.call('SET', KEYS[1],
            struct.pack('>c1BI7I7I7I7I6I6', 'W', reach, slot, offset, head + ended, first, before, sum)
              .. string.sub(value, 43 + math.max(gone, 0) * 6) .. string.rep(struct.pack('>I6', total), ended),
            'PXAT', (gone_us - gone_us % 1000) / 1000 + 2)
        end
        return { 0, used + cost, first_us, (head + ended + reach + 1) * slot - at }
      end
      if over == 1 and used > 0 and (entries == 0 or struct.unpack('>I6', value, #value - 5) ~= total) then
        return { first_us, used, first_us, (head + reach + 1) * slot - at }
      end
    end
  end
end
