#pragma once
// The scripts. Keys, records and numbers come as arguments, never in a script's text. They look at the fixed
// beginning of `to_bytes(Record)`, whose places record_places.hpp has; in Lua, the first byte is 1.
//
// https://redis.io/docs/latest/develop/programmability/eval-intro/

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace paidonce::inline v1::detail {

/// Where fields stand in `to_bytes(Record)`, from 0.
namespace record_places {
inline constexpr int state = 34, version = 35, attempt_id = 43, expires_at = 79, end = 87;
}

/// KEYS: record, open, done. ARGV: 1 record, 2 key bytes, 3 ttl in ms or nothing, 4 score, 5 whether begins
/// are refused, 6 how old an entry of `done` is looked at whose record may have gone, 7 what records' names
/// begin with, 8 key bytes and 9 version, as in a record, of a write that this server has acknowledged, or
/// nothing. Answers nil: stored; the record that is there; 0: a begin, refused; 1: refused, since neither
/// that write nor a later one nor a sweep is there.
inline constexpr std::string_view redis_insert_script = R"(
local there = redis.call('GET', KEYS[1])
if there then return there end
if ARGV[5] == '1' and string.byte(ARGV[1], 35) == 1 then return 0 end
if ARGV[9] ~= '' then
  local last = redis.pcall('GETRANGE', ARGV[7] .. ARGV[8], 35, 42)
  if last ~= ARGV[9] and not last.err then
    local low, high = struct.unpack('<I4I4', ARGV[9])
    local function earlier(version)
      if not version or #version ~= 8 then return true end
      local its_low, its_high = struct.unpack('<I4I4', version)
      return its_high < high or (its_high == high and its_low < low)
    end
    if earlier(last) and earlier(redis.call('GET', string.sub(ARGV[7], 1, -3) .. 'swept')) then return 1 end
  end
end
local set
if ARGV[3] == '' then set = redis.pcall('SET', KEYS[1], ARGV[1])
else set = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[3]) end
if set.err then return set end
if ARGV[3] == '' then
  redis.call('ZADD', KEYS[2], 0, ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
else
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[2])
end
if string.byte(ARGV[1], 44) % 8 == 0 then
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[6], 'LIMIT', 0, 16)) do
    if redis.call('EXISTS', ARGV[7] .. old) == 0 then redis.call('ZREM', KEYS[3], old) end
  end
end
return false
)";

/// KEYS and ARGV 1 to 5 likewise; ARGV 6: the version that must be there, as in a record. Answers 1:
/// replaced; 0: it moved on, or is gone; 2: a begin, refused.
inline constexpr std::string_view redis_replace_script = R"(
local there = redis.call('GETRANGE', KEYS[1], 35, 50)
if string.sub(there, 1, 8) ~= ARGV[6] then return 0 end
if ARGV[5] == '1' and string.byte(ARGV[1], 35) == 1 and string.sub(there, 9, 16) ~= string.sub(ARGV[1], 44, 51) then
  return 2
end
local set
if ARGV[3] == '' then set = redis.pcall('SET', KEYS[1], ARGV[1])
else set = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[3]) end
if set.err then return set end
if ARGV[3] == '' then
  redis.call('ZADD', KEYS[2], 0, ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[2])
else
  redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
  redis.call('ZREM', KEYS[2], ARGV[2])
end
return 1
)";

/// Before the script above, from Redis 7 on: it may go beyond maxmemory. What has begun has room to end.
inline constexpr std::string_view redis_beyond_maxmemory = "#!lua flags=allow-oom\n";

/// KEYS: done, swept. ARGV: 1 now as a score, 2 most, 3 what records' names begin with, 4 and 5 the lower and
/// the upper half of now. Answers how many entries were looked at, and how many records erased. All is read
/// before anything is written: a cluster that is moving the slot refuses to read what has gone ahead, and
/// then nothing has been erased that `swept` does not tell of.
inline constexpr std::string_view redis_erase_script = R"(
local now_low, now_high = tonumber(ARGV[4]), tonumber(ARGV[5])
local swept_low, swept_high = 0, 0
local swept = redis.call('GET', KEYS[2])
if swept then swept_low, swept_high = struct.unpack('<I4I4', swept) end
local looked_at, due, gone = 0, {}, {}
for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])) do
  looked_at = looked_at + 1
  local head = redis.call('GETRANGE', ARGV[3] .. old, 0, 86)
  if head == '' then
    gone[#gone + 1] = old
  elseif #head == 87 then
    local state = string.byte(head, 35)
    local low, high = struct.unpack('<I4i4', head, 80)
    if state ~= 1 and state ~= 4 and (high < now_high or (high == now_high and low <= now_low)) then
      due[#due + 1] = old
      low, high = struct.unpack('<I4I4', head, 36)
      if high > swept_high or (high == swept_high and low > swept_low) then
        swept_low, swept_high = low, high
      end
    end
  end
end
for _, old in ipairs(due) do
  redis.call('DEL', ARGV[3] .. old)
  redis.call('ZREM', KEYS[1], old)
end
for _, old in ipairs(gone) do redis.call('ZREM', KEYS[1], old) end
if #due > 0 then redis.call('SET', KEYS[2], struct.pack('<I4I4', swept_low, swept_high)) end
return {looked_at, #due}
)";

/// KEYS: open, done. ARGV: 1 what records' names begin with; then the bytes of keys whose records were not
/// there. Takes out the entries of those that are not there now. Answers how many of them were open, and
/// cannot have gone by themselves.
inline constexpr std::string_view redis_forget_script = R"(
local lost = 0
for at = 2, #ARGV do
  if redis.call('EXISTS', ARGV[1] .. ARGV[at]) == 0 then
    lost = lost + redis.call('ZREM', KEYS[1], ARGV[at])
    redis.call('ZREM', KEYS[2], ARGV[at])
  end
end
return lost
)";

/// The names that a server gave to those that are called for each payment: SHA-1 of their texts.
struct RedisScriptNames {
  std::string insert = {}, replace = {};
};

}  // namespace paidonce::inline v1::detail
