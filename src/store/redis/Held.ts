/**
 * How many tasks run with each pass, counted in the scripts that start and end them.
 *
 * Redis looks through a hash of few short fields from the first one on, and as few tasks run as there are slots. So `held` has one more
 * field, a long one, which makes it a table: it comes with the first pass and goes with the last.
 */
export const held = `
-- how many tasks run with each pass. Made where a gate is met, like others: a script pays for each function that it has
local gated, madeRuns
local function runs()
  if madeRuns then return madeRuns end
  -- the numbers by pass, what is to be added to those that were not read, passes whose numbers have changed, and those of ended tasks
  local self, held, amounts, counted, freed = {}, {}, {}, {}, {}
  madeRuns = self
  local longField = string.rep("-", 65)

  -- reads the numbers of these passes, of which some may come twice
  function self.load(passes)
    local texts = hmget(root .. ":held", passes)
    for index = 1, #passes do
      local pass, text = passes[index], texts[index]
      if held[pass] == nil then held[pass] = text and tonumber(text) or 0 end
    end
  end

  function self.of(pass)
    if held[pass] == nil then self.load({ pass }) end
    return held[pass] + (amounts[pass] or 0)
  end

  function self.add(pass, amount) amounts[pass] = (amounts[pass] or 0) + amount end

  -- counts one more task that runs with a pass whose number was read, if fewer do than may
  function self.enter(pass, max)
    local number = held[pass]
    if number + (amounts[pass] or 0) >= max then return false end
    held[pass], counted[#counted + 1] = number + 1, pass
    return true
  end

  -- to be called once, with the passes of tasks that run no more and have one each
  function self.leave(passes)
    local texts = hmget(root .. ":held", passes)
    for index = 1, #passes do
      local pass = passes[index]
      local number = held[pass]
      if number == nil then
        local text = texts[index]
        number = text == "1" and 1 or text and tonumber(text) or 0
      end
      held[pass] = number - 1
    end
    freed = passes
  end

  local function write(passes, come, gone)
    for index = 1, #passes do
      local pass = passes[index]
      local number = held[pass]
      if number > 0 then
        local at = #come
        come[at + 1], come[at + 2] = pass, number
      else
        held[pass], gone[#gone + 1] = 0, pass
      end
    end
  end

  -- to be called after all, and before gated().conclude
  function self.conclude()
    local come, gone, ended = {}, {}, { freed }
    if next(amounts) then
      local added, less = {}, {}
      for pass in pairs(amounts) do added[#added + 1] = pass end
      self.load(added)
      for pass, amount in pairs(amounts) do
        held[pass] = held[pass] + amount
        if amount < 0 then less[#less + 1] = pass end
      end
      write(added, come, gone)
      ended[2] = less
    end
    write(counted, come, gone)
    write(freed, come, gone)
    amounts, counted, freed = {}, {}, {}
    if gone[1] then
      each("HDEL", root .. ":held", gone)
      if come[1] == nil and call("HLEN", root .. ":held") == 1 then call("HDEL", root .. ":held", longField) end
    end
    if come[1] then
      local at = #come
      come[at + 1], come[at + 2] = longField, 0
      each("HSET", root .. ":held", come)
    end
    for _, passes in ipairs(ended) do
      if passes[1] and call("EXISTS", root .. ":groups") == 1 then
        for _, pass in ipairs(passes) do gated().open(pass) end
      end
    end
  end

  return self
end
`
