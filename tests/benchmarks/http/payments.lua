-- Each request is another payment.
local threads = 0
function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end
local number = 0
local start = os.time()
function request()
  number = number + 1
  return wrk.format("POST", nil, {
    ["Content-Type"] = "application/json",
    ["Idempotency-Key"] = string.format('"%d-%d-%d-%d"', start, os.clock() * 1e6, id, number),
  }, '{"order":"order-1001","amount":450,"currency":"EUR"}')
end
