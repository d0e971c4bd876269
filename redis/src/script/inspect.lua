-- Reads a key at one instant. Writes nothing.
-- KEYS: the key and, of an API limiter, the ends of its calls.
-- ARGV: how many bytes of a bucket to read, 0 for all. Of windows and semaphores all are read.
-- Returns the clock (seconds, microseconds), these bytes, how many milliseconds the key still lives
--   (-1: for ever, -2: there is none), the bytes of memory that it takes (-1: the user may not ask),
--   and how many calls are in flight.
local memory = redis.pcall('MEMORY', 'USAGE', KEYS[1])
if type(memory) ~= 'number' then memory = -1 end
local value = redis.call('GETRANGE', KEYS[1], 0, ARGV[1] - 1)
local mark = string.sub(value, 1, 1)
if mark == 'W' or mark == 'S' then value = redis.call('GETRANGE', KEYS[1], 0, -1) end
local calls = 0
if KEYS[2] then
  calls = redis.call('ZCOUNT', KEYS[2], '(' .. string.format('%.0f', now), '+inf')
end
return {
  tonumber(clock[1]), tonumber(clock[2]), value, redis.call('PTTL', KEYS[1]), memory, calls,
}
