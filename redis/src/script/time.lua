-- The time of the server, in microseconds. All numbers are whole and below 2^53, so doubles hold
-- them exactly.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- With a clock that stands at 0, keys would end at once, and with them every limit.
if now == 0 then error('TIDEGATE the command TIME answers 0') end

