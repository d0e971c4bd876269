-- Charges one window, or says for how long it denies the call.
-- ARGV: the cost, the limit, the length of a slot, and how many slots before the current one count.
-- Returns the wait, which is 0 if the call is admitted; the permits that count, and in how many
-- microseconds the first and the last of them no longer do.
if #ARGV == 4 and #KEYS == 1 then
  local w = window_load(KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), false)
  local fits, wait = window_fits(w, tonumber(ARGV[1]))
  if fits then window_charge(w, tonumber(ARGV[1])) end
  if w.dirty then window_save(w) end
  return { wait, window_used(w), window_first(w), window_last(w) }
end
