-- For wrk: each request is another signed postback, a line of the file POSTBACKS; each thread uses its own part.
local threads = 0

function setup(thread)
  thread:set("part", threads)
  threads = threads + 1
end

function init()
  requests, at = {}, 0
  local headers, number = { ["Content-Type"] = "application/json" }, 0
  for body in io.lines(os.getenv("POSTBACKS")) do
    if number % tonumber(os.getenv("THREADS")) == part then
      requests[#requests + 1] = wrk.format("POST", "/postback", headers, body)
    end
    number = number + 1
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local refused = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('\n{"requests": %d, "seconds": %.3f, "refused": %d, "p50_ms": %.2f, "p99_ms": %.2f}\n',
    summary.requests, summary.duration / 1e6, refused, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
