-- Requests for wrk: sends the signed targets of the file named by TARGETS in turn, with BODY_BYTES
-- bytes each if METHOD is PUT. Each thread begins elsewhere, so that keys are not hit in step.
local targets, body = {}, nil
local method = os.getenv("METHOD")
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init()
  for line in io.lines(os.getenv("TARGETS")) do targets[#targets + 1] = line end
  if method == "PUT" then body = string.rep("s", tonumber(os.getenv("BODY_BYTES"))) end
  at = math.floor(#targets * number / 8)
end

function request()
  at = at % #targets + 1
  return wrk.format(method, targets[at], nil, body)
end

function done(summary, latency)
  local failed = summary.errors.status + summary.errors.connect + summary.errors.read
      + summary.errors.write + summary.errors.timeout
  io.write(string.format("RESULT %.1f %.3f %.3f %d\n", summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
