-- wrk -s wrk.lua URL -- BODY_FILE CONTENT_TYPE: posts the file, and ends with one line of figures.
function init(args)
  local file = assert(io.open(args[1], "rb"))
  local headers = {["Content-Type"] = args[2]}
  request_bytes = wrk.format("POST", nil, headers, file:read("*a"))
  file:close()
end

function request()
  return request_bytes
end

function done(summary, latency, requests)
  local e = summary.errors
  local lost = e.connect + e.read + e.write + e.timeout
  io.write(string.format("figures %d %d %d %d %d %d\n", summary.requests, e.status, lost, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
