#pragma once
// What runs within the server: each script is one step that nobody else comes between. All keys of a script
// are in one slot of a cluster. Redis 6.2 or newer. They are sent as text (EVAL): the server compiles a text
// once.

namespace paidonce::inline v1::detail {

/// KEYS: the registry, the number of partitions; ARGV: this consumer, for how long, the number of partitions.
/// Registers the consumer and forgets those that have been silent for so long. Gives the number of partitions
/// that is written down, and all consumers.
inline constexpr const char* stream_register = R"lua(
redis.call('SET', KEYS[2], ARGV[3], 'NX')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
return {redis.call('GET', KEYS[2]), redis.call('ZRANGE', KEYS[1], 0, -1)}
)lua";

/// KEYS: stream, lease; ARGV: token, lease in ms, group. 1: the partition is this consumer's.
inline constexpr const char* stream_take = R"lua(
if redis.call('GET', KEYS[2]) ~= ARGV[1] and
   not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[3], '0', 'MKSTREAM')
if type(made) == 'table' and made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
return 1
)lua";

/// KEYS: stream, lease; ARGV: token, lease in ms, group, consumer, room, the id behind which messages that
/// were handed out before are looked for: `-` at first, empty when there are no more. At last `again`, where
/// this consumer has asked since it took the partition: what it was given then, and has perhaps not got, is
/// not counted as handed out once more. Nil: the partition is not this consumer's. Else that id for the next
/// time, and messages: id, deliveries, fields.
inline constexpr const char* stream_fetch = R"lua(
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return false end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
local stream, group, me, room, after = KEYS[1], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local got = {}
if room > 0 and after ~= '' then
  local from = after
  if after ~= '-' then from = '(' .. after end
  local pending = redis.call('XPENDING', stream, group, from, '+', room)
  for _, one in ipairs(pending) do
    after = one[1]
    local entry, count
    if one[2] == me and ARGV[7] == 'again' then
      entry, count = redis.call('XRANGE', stream, one[1], one[1])[1], one[4]
    else
      entry, count = redis.call('XCLAIM', stream, group, me, 0, one[1])[1], one[4] + 1
    end
    if entry then got[#got + 1] = {one[1], count, entry[2]}
    else redis.call('XACK', stream, group, one[1]) end
  end
  if #pending < room then after = '' end
  room = room - #pending
end
if room > 0 then
  local read = redis.call('XREADGROUP', 'GROUP', group, me, 'COUNT', room, 'STREAMS', stream, '>')
  if read then
    for _, entry in ipairs(read[1][2]) do got[#got + 1] = {entry[1], 1, entry[2]} end
  end
end
return {after, got}
)lua";

/// KEYS: stream, lease, dead letters; ARGV: group, id, reason, token. Nothing where somebody else has the
/// partition, or has settled it.
inline constexpr const char* stream_bury = R"lua(
if redis.call('GET', KEYS[2]) ~= ARGV[4] then return 0 end
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[2], ARGV[2], 1) == 0 then return 0 end
local entry = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])[1]
if entry then
  local fields = entry[2]
  for _, word in ipairs({'reason', ARGV[3], 'origin', ARGV[2]}) do fields[#fields + 1] = word end
  redis.call('XADD', KEYS[3], '*', unpack(fields))
end
return redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
)lua";

/// KEYS: stream, lease; ARGV: token.
inline constexpr const char* stream_release = R"lua(
if redis.call('GET', KEYS[2]) == ARGV[1] then return redis.call('DEL', KEYS[2]) end
return 0
)lua";

/// KEYS: stream, lease; ARGV: token, group, consumer. Removes what no group has unread or pending, and
/// consumers of this group that are gone and hold nothing.
inline constexpr const char* stream_trim = R"lua(
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
local function before(a, b)
  local a1, a2 = string.match(a, '(%d+)-(%d+)')
  local b1, b2 = string.match(b, '(%d+)-(%d+)')
  if a1 ~= b1 then if #a1 ~= #b1 then return #a1 < #b1 end return a1 < b1 end
  if #a2 ~= #b2 then return #a2 < #b2 end
  return a2 < b2
end
local least
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local group = {}
  for at = 1, #flat, 2 do group[flat[at]] = flat[at + 1] end
  local keep = group['last-delivered-id']
  if group['pending'] > 0 then keep = redis.call('XPENDING', KEYS[1], group['name'])[2]
  else  -- the one behind it
    local time, count = string.match(keep, '(%d+)-(%d+)')
    if #count < 15 then keep = time .. '-' .. string.format('%.0f', count + 1) end
  end
  if not least or before(keep, least) then least = keep end
end
for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[2])) do
  local one = {}
  for at = 1, #flat, 2 do one[flat[at]] = flat[at + 1] end
  if one['pending'] == 0 and one['name'] ~= ARGV[3] then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[2], one['name'])
  end
end
return redis.call('XTRIM', KEYS[1], 'MINID', least)
)lua";

}  // namespace paidonce::inline v1::detail
