-- Arguments: a file with the requests, each a line "LENGTH" and so many bytes after it; and the
-- status that all must be answered with. The last line of output is the result as JSON.
local requests = {}
local at = 0
local expected

function setup(thread)
   threads = threads or {}
   table.insert(threads, thread)
end

function init(args)
   local file = assert(io.open(args[1], "rb"))
   expected = tonumber(args[2])
   local line = file:read("*l")
   while line do
      requests[#requests + 1] = file:read(tonumber(line))
      file:read(1)
      line = file:read("*l")
   end
   file:close()
   wrong = 0
end

function request()
   at = at % #requests + 1
   return requests[at]
end

function response(status)
   if status ~= expected then
      wrong = wrong + 1
   end
end

function done(summary, latency, _)
   local e = summary.errors
   local bad = e.connect + e.read + e.write + e.timeout
   for _, thread in ipairs(threads) do
      bad = bad + thread:get("wrong")
   end
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "errors": %d, "p99_us": %d}\n',
      summary.requests, summary.duration / 1e6, bad, latency:percentile(99)))
end
