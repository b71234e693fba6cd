-- Limits that several proxies share, counted in one place and by one clock, the server's own.
--
-- KEYS: of each subject what is in use of its buckets (a hash), and what is under way (a sorted set of leases, by when
-- each ends unless it is renewed); for `renew` only the latter. All of them carry one hash tag.
-- Rates are per minute, 0 for none. Times are in microseconds: doubles hold them exactly.
-- Runs whole or not at all, in the order that it was asked in.

local MINUTE = 60000000
local ROUNDING = 1e-6 -- so much of one request, or token, is none
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function whole(number)
  return string.format('%.0f', number)
end

-- What is in use of a bucket: it empties evenly.
local function in_use(key, bucket, rate)
  local kept = redis.call('HMGET', key, bucket, bucket .. '_at')
  local passed = math.max(0, now - (kept[2] or now))
  return math.max(0, (kept[1] or 0) - passed * rate / MINUTE)
end

-- Kept until it is empty.
local function keep(key, bucket, used, rate)
  redis.call('HSET', key, bucket, string.format('%.17g', used), bucket .. '_at', whole(now))
  local ms = math.ceil(used / rate * MINUTE / 1000) + 1000
  if redis.call('PTTL', key) < ms then
    redis.call('PEXPIRE', key, whole(ms))
  end
end

local function lease(key, name, ms)
  redis.call('ZADD', key, whole(now + ms * 1000), name)
  redis.call('PEXPIRE', key, whole(ms + 1000))
end

-- How long until the bucket has room for so many.
local function wait(used, count, rate)
  local over = used + count - rate
  return over > ROUNDING and math.ceil(over / rate * MINUTE) or 0
end

local function under_way(key)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now))
  return redis.call('ZCARD', key)
end

local does = {}

-- take, the lease's name, its milliseconds, tokens; of each subject its requests, tokens and concurrent exchanges.
-- Gives nothing, or the number of the subject that has no room, of what, and after how long it has.
function does.take()
  local name, ms, asked = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
  local subjects = {}
  for i = 1, #KEYS / 2 do
    local one = {key = KEYS[2 * i - 1], leases = KEYS[2 * i]}
    one.requests, one.tokens = tonumber(ARGV[3 * i + 2]), tonumber(ARGV[3 * i + 3])
    one.concurrent = tonumber(ARGV[3 * i + 4])
    if one.concurrent > 0 and under_way(one.leases) >= one.concurrent then
      return {i, 'concurrent', 0}
    end
    if one.requests > 0 then
      one.requests_used = in_use(one.key, 'requests', one.requests)
      local left = wait(one.requests_used, 1, one.requests)
      if left > 0 then
        return {i, 'requests', left}
      end
    end
    if one.tokens > 0 then
      one.asked = math.min(asked, one.tokens)
      one.tokens_used = in_use(one.key, 'tokens', one.tokens)
      local left = wait(one.tokens_used, one.asked, one.tokens)
      if left > 0 then
        return {i, 'tokens', left}
      end
    end
    subjects[i] = one
  end
  for _, one in ipairs(subjects) do
    if one.concurrent > 0 then
      lease(one.leases, name, ms)
    end
    if one.requests > 0 then
      keep(one.key, 'requests', one.requests_used + 1, one.requests)
    end
    if one.tokens > 0 then
      keep(one.key, 'tokens', one.tokens_used + one.asked, one.tokens)
    end
  end
  return {}
end

-- settle, the lease's name; of each subject its rate of tokens, and how many more, or fewer, than it was thought.
function does.settle()
  for i = 1, #KEYS / 2 do
    redis.call('ZREM', KEYS[2 * i], ARGV[2])
    local rate, more = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
    if rate > 0 and more ~= 0 then
      local key = KEYS[2 * i - 1]
      keep(key, 'tokens', math.max(0, in_use(key, 'tokens', rate) + more), rate)
    end
  end
  return {}
end

-- renew, milliseconds; of each key the lease's name.
function does.renew()
  for i, key in ipairs(KEYS) do
    lease(key, ARGV[i + 2], tonumber(ARGV[2]))
  end
  return {}
end

return does[ARGV[1]]()
