-- Single submissions over HTTP, as another program than ours makes them; see README.md.
wrk.method = "POST"
wrk.path = "/v1/calls/submit"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"lane":"wrk","kind":"noop","payload":"' .. string.rep("eHh4", 21) .. '"}'

local token = os.getenv("FF_TOKEN")
if token then
  wrk.headers["Authorization"] = "Bearer " .. token
end

-- Any answer but 200 makes the figure worthless: each thread counts its own.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init()
  refused = 0
end

function response(status)
  if status ~= 200 then
    refused = refused + 1
  end
end

function done(summary)
  local total = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  for _, thread in ipairs(threads) do
    total = total + thread:get("refused")
  end
  io.write(string.format("submitted /s  %.0f\nrefused or lost  %d\n", summary.requests / summary.duration * 1e6, total))
end
