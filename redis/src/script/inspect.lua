-- Reads a key at one instant. Writes nothing.
-- ARGV: the first byte of the value to read and the last one.
-- Returns the clock (seconds, microseconds), these bytes, how many milliseconds the key still lives
--   (-1: for ever, -2: there is none), and the bytes of memory that it takes (-1: the user may not
--   ask).
local memory = redis.pcall('MEMORY', 'USAGE', KEYS[1])
if type(memory) ~= 'number' then memory = -1 end
return {
  tonumber(clock[1]), tonumber(clock[2]), redis.call('GETRANGE', KEYS[1], ARGV[1], ARGV[2]),
  redis.call('PTTL', KEYS[1]), memory,
}
