-- Arguments: a file with a request a line, "PATH" or "PATH<tab>TOKEN". One line is sent over and
-- over, several in turn. The last line of output is the result as JSON.
local requests = {}
local at = 0

local function next_request()
   at = at % #requests + 1
   return requests[at]
end

function init(args)
   for line in io.lines(args[1]) do
      local path, token = line:match("^([^\t]*)\t?(.*)$")
      if token ~= "" then
         wrk.headers["Authorization"] = "Bearer " .. token
      end
      wrk.path = path
      requests[#requests + 1] = wrk.format()
   end
   -- Without a function of this name wrk sends wrk.path again and again, which costs it less.
   if #requests > 1 then
      request = next_request
   end
end

function done(summary, latency, _)
   local e = summary.errors
   io.write(string.format(
      '{"requests": %d, "seconds": %.6f, "errors": %d, "p99_us": %d}\n',
      summary.requests, summary.duration / 1e6,
      e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(99)))
end
