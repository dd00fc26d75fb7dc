-- Run by editor_test.py in Neovim, headless: what somebody does who edits a manifest.
local work = os.getenv("WORK")
local failed = {}

local function say(text) io.stdout:write(text .. "\n") end

local function check(what, good, more)
  if good then
    say("[       OK ] " .. what)
  else
    table.insert(failed, what)
    say("[  FAILED  ] " .. what .. (more and (": " .. vim.inspect(more)) or ""))
  end
end

local function wait(condition) return vim.wait(60000, condition, 20) end
local function problems() return vim.diagnostic.get(0) end
local function line(n) return vim.api.nvim_buf_get_lines(0, n - 1, n, false)[1] end

local client
local function open(name)
  vim.cmd("edit " .. vim.fn.fnameescape(work .. "/" .. name))
  client = client or vim.lsp.start_client({
    name = "sallyport",
    cmd = {os.getenv("PROGRAM"), "lsp", "--database", work .. "/advisories.db"},
    root_dir = work,
  })
  vim.lsp.buf_attach_client(0, client)
end

-- What the floating windows show.
local function floating()
  local text = ""
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    if vim.api.nvim_win_get_config(window).relative ~= "" then
      local buffer = vim.api.nvim_win_get_buf(window)
      text = text .. table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), "\n")
    end
  end
  return text
end

local function a_manifest_has_a_problem_at_its_line()
  open("package.json")
  check("diagnostics of a manifest", wait(function() return #problems() > 0 end))
  local found = problems()
  check("one problem", #found == 1, found)
  check("in its line", found[1] and found[1].lnum == 3, found)
  check("with its id", found[1] and found[1].code == "GHSA-1", found)
  check("as an error", found[1] and found[1].severity == vim.diagnostic.severity.ERROR, found)
end

local function hovering_tells_why_and_what_to_do()
  vim.api.nvim_win_set_cursor(0, {4, 10})
  vim.lsp.buf.hover()
  check("a hover", wait(function() return floating() ~= "" end))
  check("which tells the advisory and its fix",
        floating():find("GHSA%-1") and floating():find("fixed in 1.2.4"), floating())
end

local function the_quick_fix_changes_the_version()
  local titles = {}
  vim.ui.select = function(items, _, on_choice)
    for _, item in ipairs(items) do table.insert(titles, item[2].title) end
    on_choice(items[1], 1)
  end
  vim.lsp.buf.code_action()
  check("a quick fix is applied", wait(function() return line(4):find("1.2.4", 1, true) end), line(4))
  check("and nothing else is changed", line(4) == '    "größe": "1.0.0", "a": "^1.2.4",', line(4))
  check("its title tells what it does", titles[1] == "Upgrade a from 1.2.3 to 1.2.4", titles)
  check("the problem goes away", wait(function() return #problems() == 0 end), problems())
end

local function a_lock_file_has_the_quick_fix_too()
  open("locked/package-lock.json")
  check("diagnostics of a lock file", wait(function() return #problems() == 1 end), problems())
  check("in the line of its package", problems()[1] and problems()[1].lnum == 3, problems())
  vim.api.nvim_win_set_cursor(0, {4, 5})
  vim.ui.select = function(items, _, on_choice) on_choice(items[1], 1) end
  vim.lsp.buf.code_action()
  check("its version is changed", wait(function()
    return line(4) == '  "node_modules/a": {"version": "1.2.4"}'
  end), line(4))
  check("and its problem goes away", wait(function() return #problems() == 0 end), problems())
end

local function typing_is_followed()
  vim.fn.setline(4, '    "größe": "1.0.0", "a": "1.0.1",')
  check("a problem comes while typing", wait(function() return #problems() == 1 end), problems())
  vim.fn.setline(4, '    "größe": "1.0.0", "a": "1.2.5",')
  check("and goes with what it was", wait(function() return #problems() == 0 end), problems())
end

local function configuration_and_secrets_are_told()
  open("Dockerfile")
  check("diagnostics of a Dockerfile", wait(function()
    for _, p in ipairs(problems()) do
      if p.code == "dockerfile-sudo" and p.lnum == 1 then return true end
    end
  end), problems())
  open("settings.env")
  check("a secret", wait(function() return #problems() > 0 end))
  local found = problems()[1]
  check("with its place", found and found.lnum == 1 and found.col == 10, found)
  check("and masked", found and found.message:find("****", 1, true) ~= nil, found)
end

local function a_broken_document_is_told()
  open("package-lock.json")
  check("a broken document", wait(function()
    local found = problems()[1]
    return found and found.code == "unreadable" and found.lnum == 1
  end), problems())
end

local function the_server_ends_when_asked()
  vim.lsp.stop_client(client)
  check("shutdown and exit", wait(function() return vim.lsp.client_is_stopped(client) end))
end

for _, step in ipairs({
  a_manifest_has_a_problem_at_its_line, hovering_tells_why_and_what_to_do,
  the_quick_fix_changes_the_version, typing_is_followed,
  a_lock_file_has_the_quick_fix_too, configuration_and_secrets_are_told,
  a_broken_document_is_told, the_server_ends_when_asked,
}) do
  local good, why = pcall(step)
  if not good then check("a step", false, why) end
end
vim.cmd(#failed == 0 and "qall!" or "cquit 1")
