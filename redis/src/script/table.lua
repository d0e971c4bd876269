-- Exchanges the quotas of a table, one for each of its limits, with a node.
-- ARGV: for each key the changed quota that the node knows, or ''. One with a higher version than the
--   stored one is stored.
-- Returns -2, and for each quota that the node does not know its index and the record, in numbers of
--   four bytes.
local SIZE = 60
local answer = { -2 }
for i, key in ipairs(KEYS) do
  local stored, known = redis.call('GET', key), ARGV[i]
  if stored and #stored ~= SIZE then error('TIDEGATE the key holds something else, not a quota') end
  if known ~= '' and (not stored or struct.unpack('>I7', stored) < struct.unpack('>I7', known)) then
    redis.call('SET', key, known)
  elseif stored and stored ~= known then
    answer[#answer + 1] = i
    for at = 1, SIZE, 4 do answer[#answer + 1] = struct.unpack('>I4', stored, at) end
  end
end
return answer
